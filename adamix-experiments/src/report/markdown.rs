//! Tables in Markdown.

use super::document::{Document, Origin};

/// The whole document.
pub fn render(document: &Document) -> String {
    let mut text = format!("# {}\n\n", document.title);
    let heads: Vec<String> = document.head.iter().map(|h| escape(&h.title)).collect();
    let sources = document.lines.iter().any(|l| l.origin != Origin::Plain);
    let corner = escape(&document.corner);
    if sources {
        text += &format!("| {corner} | | {} |\n", heads.join(" | "));
        text += &format!("|---|---|{}\n", "--:|".repeat(heads.len()));
    } else {
        text += &format!("| {corner} | {} |\n", heads.join(" | "));
        text += &format!("|---|{}\n", "--:|".repeat(heads.len()));
    }
    for line in &document.lines {
        let cells: Vec<String> = line.cells.iter().map(|c| escape(&c.text())).collect();
        let label = escape(&line.label);
        text += &match (sources, line.origin) {
            (false, _) => format!("| {label} | {} |\n", cells.join(" | ")),
            (true, Origin::Plain) => format!("| {label} | | {} |\n", cells.join(" | ")),
            (true, origin) => format!("| {label} | {} | {} |\n", origin.name(), cells.join(" | ")),
        };
    }
    for sentence in &document.caption {
        text += &format!("\n{sentence}\n");
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::example;

    #[test]
    fn every_cell_stands_in_its_place() {
        let text = super::render(&example());
        let expected = "# GLUE & co

| Method | | MRPC | RTE \\| acc |
|---|---|--:|--:|
| AdaMix | paper | 91.9 ± 0.2 | – |
| AdaMix_ours | ours | 81.2 ± 0.8 (3 of 5 runs) [79.0, 83.5] | not run |
| 100 % | | 811,392 | a, \"b\" &lt;c> |

Three seeds.
";
        assert_eq!(text, expected);
    }
}
