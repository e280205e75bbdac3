const body = document.querySelector("#files tbody");
document.querySelectorAll("#files th").forEach((th, column) => {
  const button = document.createElement("button");
  button.textContent = th.textContent;
  th.replaceChildren(button);
  const isText = th.dataset.text !== undefined;
  let down = !isText;
  button.addEventListener("click", () => {
    const value = row => { const cell = row.cells[column]; return cell.dataset.value ?? cell.textContent; };
    const order = (a, b) => isText ? (value(a) < value(b) ? -1 : 1) : parseFloat(value(a)) - parseFloat(value(b));
    body.append(...[...body.rows].sort((a, b) => down ? order(b, a) : order(a, b)));
    down = !down;
  });
});