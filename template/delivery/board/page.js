// On a wall screen: ask for the page again and again; put in what changed, and keep what is open.
const asked = location.pathname;
let seen = null;
async function refresh() {
  const line = document.getElementById("asof");
  try {
    const answer = await fetch(asked, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const board = document.getElementById("board"), next = fresh.getElementById("board");
    if (seen !== next.innerHTML) {
      seen = next.innerHTML;
      const open = [...board.querySelectorAll("details[open][id]")].map((one) => one.id);
      const focus = document.activeElement && document.activeElement.getAttribute("href");
      board.innerHTML = next.innerHTML;
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      if (focus) board.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
      document.querySelector(".head").replaceWith(fresh.querySelector(".head"));
    }
    line.textContent = fresh.getElementById("asof").textContent;
    line.className = fresh.getElementById("asof").className;
  } catch (error) {
    line.className = "asof lost";
    line.textContent = line.textContent.replace(/^(no answer since: )?/, "no answer since: ");
  }
}
setInterval(refresh, 5000);
