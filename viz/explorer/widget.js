// The explorer in a notebook, as an anywidget: position and edits are the model's, so that Python reads them, all views
// of one widget show the same, and a notebook that is displayed again is where it was.

// mount, OPERATIONS and graphviz are in the scope that explore_page.py makes.
function render({ model, el }) {
  const frame = document.createElement("div");
  el.append(frame);
  el.dataset.lmSuppressShortcuts = "true"; // JupyterLab's: b would insert a cell
  el.addEventListener("keydown", (event) => event.stopPropagation());
  const view = mount(frame, model.get("data"), {
    operations: OPERATIONS,
    graphviz,
    position: model.get("position"),
    edits: editsOf(model),
    onPosition(position) {
      model.set("position", position);
      model.save_changes();
    },
    onEdit(node, number, values) {
      model.set("edits", { ...model.get("edits"), [node]: String(number) });
      model.set("numbers", base64(values.data));
      model.save_changes();
    },
  });
  const move = () => {
    if (view.position !== model.get("position")) view.position = model.get("position");
  };
  const edit = () => {
    const { data } = view.values();
    for (const [node, number] of Object.entries(editsOf(model))) {
      if (!Object.is(data[node], number)) view.edit(Number(node), number);
    }
  };
  model.on("change:position", move);
  model.on("change:edits", edit);
  return () => {
    model.off("change:position", move);
    model.off("change:edits", edit);
    view.destroy();
  };
}

// JSON has no infinities: the numbers are texts.
function editsOf(model) {
  return Object.fromEntries(Object.entries(model.get("edits")).map(([node, number]) => [node, Number(number)]));
}

/** The bytes of an array of numbers as text, as the columns of `data` are. */
function base64(numbers) {
  let text = "";
  for (const byte of new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)) text += String.fromCharCode(byte);
  return btoa(text);
}

export default { render };
