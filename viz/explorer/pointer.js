// Mouse, wheel and fingers on the picture: drag to pan, wheel or pinch to zoom.

export function followPointer(stage, picture, moved) {
  const down = new Map();
  let dragged = 0;
  const at = (event) => {
    const { left, top } = stage.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    down.set(event.pointerId, at(event));
    if (down.size === 1) dragged = 0;
  });
  stage.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return;
    const before = down.get(event.pointerId), now = at(event);
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (down.size === 2) {
      const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const far = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]) || 1;
      picture.zoom(far(now) / far(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    } else picture.pan(dx, dy);
    down.set(event.pointerId, now);
    dragged += Math.abs(dx) + Math.abs(dy);
    if (dragged > 4) {
      moved();
      if (!stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
    }
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) stage.addEventListener(name, (event) => down.delete(event.pointerId));
  stage.addEventListener("click", (event) => {  // the end of a drag is no click
    if (dragged <= 4 || event.target.closest("button")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    moved();
    picture.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), at(event));
  }, { passive: false });
}
