//! The page of results in a real browser, where one is installed.

mod browser;

use adamix_experiments::report::document::Heading;
use adamix_experiments::report::html::{self, Page};
use adamix_experiments::report::{Cell, Document, Line, Origin};

#[test]
fn columns_are_sorted_by_what_is_printed_in_them() {
    let line = |label: &str, parameters: Cell, p: &str| Line {
        key: label.to_owned(),
        label: label.to_owned(),
        origin: Origin::Paper,
        cells: vec![parameters, Cell::Text(p.to_owned())],
    };
    let text = |text: &str| Cell::Text(text.to_owned());
    let document = Document {
        name: "sorted".to_owned(),
        title: "Sorted".to_owned(),
        caption: Vec::new(),
        corner: "Method".to_owned(),
        head: vec![Heading::new("parameters", "#Param"), Heading::new("p", "p")],
        lines: vec![
            line("seed 10", text("355.0M"), "0.250"),
            line("seed 9", text("head only"), "0.001"),
            line("ours", Cell::Count(76_128), "<0.001"),
            line("LoRA", text("0.8M"), "1.000"),
        ],
    };
    let page = Page {
        title: "Sorted",
        introduction: &[],
        documents: &[document],
        figures: &[],
        records: Vec::new(),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    std::fs::write(&path, html::render(&page)).unwrap();
    let Some(found) = browser::visit(&path, folder.path()) else {
        return;
    };
    assert_eq!(
        found["orders"],
        serde_json::json!([
            ["LoRA", "ours", "seed 9", "seed 10"],
            [],
            ["76,128", "0.8M", "355.0M", "head only"],
            ["<0.001", "0.001", "0.250", "1.000"],
        ])
    );
}
