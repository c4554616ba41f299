// Moving the player: step by step over what is on show, or on its own, forwards or backwards.

import { whereText } from "./panel.js";
import { icon } from "./skeleton.js";

const PACE = 1000;  // milliseconds for a step at speed 1

export class Playback {
  constructor(explorer) {
    this.explorer = explorer;
    this.timer = null;
    this.isReversed = false;
  }

  // Whether a step ends at a position: steps within a folded group are taken at once, those that are not on show skipped.
  isStop(position) {
    const { parts, player, picture, shown, total } = this.explorer;
    if (!shown) return true;
    const id = parts.idOf(player.node(position - 1));
    if (!picture.cards.has(id)) return false;
    return id.startsWith("v") || position === total || parts.idOf(player.node(position)) !== id;
  }

  go(position) {
    this.pause();
    this.explorer.move(position);
  }

  next() {
    this.pause();
    this.step(1);
  }

  back() {
    this.pause();
    this.step(-1);
  }

  step(by) {
    const { explorer } = this, { total } = explorer;
    let to = Math.max(0, Math.min(explorer.position + by, total));
    while (to > 0 && to < total && !this.isStop(to)) to += by;
    explorer.move(to);
    if (!this.timer) explorer.say(`${whereText(explorer.player)}: ${explorer.ui.step.textContent}`);
  }

  toggle() {
    if (this.timer) this.pause();
    else this.play();
  }

  play() {
    const { explorer } = this, end = this.isReversed ? 0 : explorer.total, pace = () => PACE / Number(explorer.ui.speed.value);
    if (explorer.position === end) explorer.move(explorer.total - end);
    const tick = () => {
      this.step(this.isReversed ? -1 : 1);
      if (explorer.position === end) this.pause();
      else this.timer = setTimeout(tick, pace());
    };
    this.timer = setTimeout(tick, Math.min(250, pace()));
    this.show("pause", "Pause");
  }

  pause() {
    if (!this.timer) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.show("play", "Play");
  }

  reverse() {
    const { explorer } = this, isPlaying = this.timer !== null;
    this.pause();
    this.isReversed = !this.isReversed;
    explorer.ui.direction.setAttribute("aria-pressed", String(this.isReversed));
    explorer.say(this.isReversed ? "plays backwards" : "plays forwards");
    if (isPlaying) this.play();
  }

  show(name, label) {
    const { play } = this.explorer.ui;
    play.replaceChildren(icon(name));
    play.setAttribute("aria-label", label);
    play.title = `${label} (space)`;
  }
}
