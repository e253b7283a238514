//! A page opened in a real browser without a window, where one is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What is done in the page once its own script has run; what it finds is left in an attribute.
const VISIT: &str = r#"
const links = [...document.querySelectorAll("a[href^='#']")];
const shown = (element) => element.getBoundingClientRect().width > 0;
const wide = (element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
let sorted = 0;
let unsorted = 0;
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.click();
    const values = [...table.tBodies[0].rows].map((row) => row.cells[column].dataset.sort).filter((v) => v).map(Number);
    if (values.every((v, i) => i === 0 || values[i - 1] <= v)) sorted += 1; else unsorted += 1;
  });
}
// The columns of the table `sorted`, each as a click on its heading leaves it.
const table = document.getElementById("sorted")?.querySelector("table");
const orders = !table ? [] : [...table.tHead.rows[0].cells].map((head, column) => {
  const button = head.querySelector("button");
  if (!button) return [];
  head.removeAttribute("aria-sort");
  button.click();
  return [...table.tBodies[0].rows].map((row) => row.cells[column].firstChild.textContent);
});
document.documentElement.dataset.found = JSON.stringify({
  links: links.length,
  dangling: links.map((a) => a.getAttribute("href").slice(1)).filter((id) => !document.getElementById(id)),
  runs: document.querySelectorAll("[id^='run-']").length,
  figures: document.querySelectorAll("figure").length,
  pictures: [...document.querySelectorAll("figure svg")].filter(shown).length,
  wide: [...document.querySelectorAll("figure svg")].filter(shown).filter(wide).length,
  orders,
  sorted,
  unsorted,
});
"#;

/// What was found in a page; none where no browser is installed.
pub fn visit(page: &Path, scratch: &Path) -> Option<Value> {
    let Some(browser) = installed() else {
        println!("skipped: no chromium or chrome is installed to open the page in");
        return None;
    };
    let html = std::fs::read_to_string(page).unwrap();
    let copy = scratch.join("visited.html");
    std::fs::write(&copy, format!("{html}<script>{VISIT}</script>")).unwrap();
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg("--window-size=1280,900")
        .arg(format!(
            "--user-data-dir={}",
            scratch.join("browser").display()
        ))
        .arg(format!("file://{}", copy.display()));
    let output = command.output().unwrap();
    let page = String::from_utf8_lossy(&output.stdout);
    let from = page.find("data-found=\"").expect("the page's script ran") + 12;
    let length = page[from..].find('"').unwrap();
    let found = page[from..from + length].replace("&quot;", "\"");
    Some(serde_json::from_str(&found).unwrap())
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "chrome-headless-shell",
    ];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}
