//! Tables in LaTeX, for `booktabs`.

use super::document::{Cell, Document, Origin};

/// The whole document: a `table` environment.
pub fn render(document: &Document) -> String {
    let columns = "r".repeat(document.head.len());
    let heads: Vec<String> = document.head.iter().map(|h| escape(&h.title)).collect();
    let mut text = format!(
        "% Needs \\usepackage{{booktabs}}.\n\\begin{{table}}\n\\centering\n\\small\n\\begin{{tabular}}{{ll{columns}}}\n\\toprule\n{} & & {} \\\\\n\\midrule\n",
        escape(&document.corner),
        heads.join(" & ")
    );
    for line in &document.lines {
        let cells: Vec<String> = line.cells.iter().map(cell).collect();
        let origin = match line.origin {
            Origin::Plain => "",
            origin => origin.name(),
        };
        text += &format!(
            "{} & {origin} & {} \\\\\n",
            escape(&line.label),
            cells.join(" & ")
        );
    }
    let caption: Vec<String> = document.caption.iter().map(|c| escape(c)).collect();
    text += &format!(
        "\\bottomrule\n\\end{{tabular}}\n\\caption{{{}. {}}}\n\\label{{tab:adamix-{}}}\n\\end{{table}}\n",
        escape(&document.title),
        caption.join(" "),
        document.name
    );
    text
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Empty => "--".to_owned(),
        Cell::NotRun => "\\emph{not run}".to_owned(),
        other => escape(&other.text()),
    }
}

/// Characters that LaTeX reads otherwise.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '<' => out += "$<$",
            '>' => out += "$>$",
            '±' => out += "$\\pm$",
            '×' => out += "$\\times$",
            '–' => out += "--",
            '…' => out += "\\ldots{}",
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::example;

    #[test]
    fn special_characters_are_escaped() {
        let text = super::render(&example());
        for part in [
            "\\begin{tabular}{llrr}",
            "AdaMix & paper & 91.9 $\\pm$ 0.2 & -- \\\\",
            "AdaMix\\_ours & ours & 81.2 $\\pm$ 0.8 (3 of 5 runs) [79.0, 83.5] & \\emph{not run} \\\\",
            "100 \\% &  & 811,392 & a, \"b\" $<$c$>$ \\\\",
            "\\caption{GLUE \\& co. Three seeds.}",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
