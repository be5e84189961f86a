// Gestures that viser's page does not know: a photo dropped on the page, a key frame dragged to another place.
// Both end in a file input of viser's, whose id Python fills in: so they arrive as any upload, under the same bounds.
(() => {
  const photoInput = "file_upload_{{photo}}";
  const orderInput = "file_upload_{{order}}";

  const style = document.createElement("style");
  style.textContent = `
    div:has(> #${photoInput}), div:has(> #${orderInput}) { display: none; }
    body.gen3d-dropping::after {
      content: "Drop the photo to find its object in 3D";
      position: fixed; inset: 12px; z-index: 10000; pointer-events: none;
      display: flex; align-items: center; justify-content: center;
      border: 3px dashed #228be6; border-radius: 12px; background: rgba(34, 139, 230, 0.12);
      font: 500 20px sans-serif; color: #1864ab;
    }
    .gen3d-keys { display: flex; flex-wrap: wrap; gap: 4px; margin: 0 0.75em 0.5em; font-size: 0.8em; }
    .gen3d-keys span {
      min-width: 1.2em; padding: 2px 8px; border: 1px solid #ced4da; border-radius: 4px;
      text-align: center; cursor: grab; user-select: none;
    }
    .gen3d-keys span.gen3d-over { border-color: #228be6; background: rgba(34, 139, 230, 0.15); }
  `;
  document.head.append(style);

  const give = (id, file) => {
    const input = document.getElementById(id);
    if (!input) return;
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  // Photos: anywhere on the page.
  const holdsFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  const veil = (shown) => document.body.classList.toggle("gen3d-dropping", shown);
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault(); // else the browser would open the file in place of the page
    veil(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget || veil(false));
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    veil(false);
    if (event.dataTransfer.files.length) give(photoInput, event.dataTransfer.files[0]);
  });

  // Key frames: onto each other.
  let dragged = null;
  const keyOf = (event) => event.target.closest && event.target.closest(".gen3d-keys span");
  const mark = (key) => {
    document.querySelectorAll(".gen3d-over").forEach((other) => other.classList.remove("gen3d-over"));
    if (key) key.classList.add("gen3d-over");
  };
  addEventListener("dragstart", (event) => {
    const key = keyOf(event);
    if (!key) return;
    dragged = key.dataset.place;
    event.dataTransfer.setData("text/plain", dragged);
  });
  addEventListener("dragover", (event) => {
    if (dragged === null) return;
    const key = keyOf(event);
    if (key) event.preventDefault();
    mark(key);
  });
  addEventListener("drop", (event) => {
    const key = keyOf(event);
    if (dragged === null || !key) return;
    event.preventDefault();
    give(orderInput, new File([`${dragged} ${key.dataset.place}`], "order.txt", { type: "text/plain" }));
  });
  addEventListener("dragend", () => {
    dragged = null;
    mark(null);
  });
})();
