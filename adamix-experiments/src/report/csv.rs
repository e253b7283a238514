//! Tables as CSV: one cell a line, with everything that is known of it.

use super::document::{Cell, Document, Line};

/// The columns.
const HEAD: [&str; 15] = [
    "table",
    "row",
    "label",
    "origin",
    "column",
    "value",
    "sd",
    "n",
    "t_low",
    "t_high",
    "low",
    "high",
    "other_rule",
    "other_value",
    "runs",
];

/// The whole document.
pub fn render(document: &Document) -> String {
    let mut text = HEAD.join(",") + "\n";
    for line in &document.lines {
        for (heading, cell) in document.head.iter().zip(&line.cells) {
            let fields = fields(document, line, &heading.key, cell);
            text += &(fields.map(|field| quote(&field)).join(",") + "\n");
        }
    }
    text
}

fn fields(document: &Document, line: &Line, column: &str, cell: &Cell) -> [String; 15] {
    let mut fields: [String; 15] = Default::default();
    fields[0] = document.name.clone();
    fields[1] = line.key.clone();
    fields[2] = line.label.clone();
    fields[3] = line.origin.name().to_owned();
    fields[4] = column.to_owned();
    fill(&mut fields, cell);
    fields
}

/// What is known of a cell.
fn fill(fields: &mut [String; 15], cell: &Cell) {
    let decimals = |value: f64, digits: usize| format!("{value:.digits$}");
    match cell {
        Cell::Empty => {}
        Cell::Text(text) => fields[5] = text.clone(),
        Cell::NotRun => fields[5] = "not run".to_owned(),
        Cell::Count(count) => fields[5] = count.to_string(),
        Cell::Number { value, digits, sd } => {
            fields[5] = decimals(*value, *digits);
            fields[6] = sd.map_or(String::new(), |sd| decimals(sd, *digits));
        }
        Cell::Linked { cell, runs } => {
            fill(fields, cell);
            fields[14] = runs.join(" ");
        }
        Cell::Measured(measured) => {
            let more = measured.digits + 2;
            let summary = measured.summary;
            fields[5] = decimals(summary.mean, more);
            fields[6] = summary.sd.map_or(String::new(), |sd| decimals(sd, more));
            fields[7] = summary.n.to_string();
            if let Some(interval) = summary.interval {
                fields[8] = decimals(interval.low, more);
                fields[9] = decimals(interval.high, more);
            }
            if let Some(interval) = measured.bootstrap {
                fields[10] = decimals(interval.low, more);
                fields[11] = decimals(interval.high, more);
            }
            if let Some((rule, value)) = measured.other {
                fields[12] = rule.to_owned();
                fields[13] = decimals(value, more);
            }
            fields[14] = measured.runs.join(" ");
        }
    }
}

fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::example;

    #[test]
    fn what_was_computed_from_runs_names_them() {
        let mut document = example();
        let count = document.lines[2].cells[0].clone();
        document.lines[2].cells[0] = count.resting_on(["aa", "bb"].map(str::to_owned));
        let text = super::render(&document);
        assert!(text.contains("plain,mrpc,811392,,,,,,,,,aa bb\n"), "{text}");
    }

    #[test]
    fn one_line_a_cell() {
        let text = super::render(&example());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 6);
        assert_eq!(lines[1], "table1,adamix,AdaMix,paper,mrpc,91.9,0.2,,,,,,,,");
        assert_eq!(
            lines[3],
            "table1,adamix,AdaMix_ours,ours,mrpc,81.250,0.750,3,79.387,83.113,79.000,83.456,best,81.500,aa bb cc"
        );
        assert_eq!(
            lines[4],
            "table1,adamix,AdaMix_ours,ours,rte,not run,,,,,,,,,"
        );
        assert!(lines[6].contains(r#","a, ""b"" <c>","#));
    }
}
