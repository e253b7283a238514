//! One self-contained page: every table and figure, and the runs behind every cell. It asks the network for nothing.

mod runs;

use super::document::{Cell, Document, Figure, Line, Measured, Origin};
use super::record::Record;

/// The most links that a cell shows without being asked.
const UNFOLDED: usize = 6;

/// What the page says of itself.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// Its heading.
    pub title: &'a str,
    /// Paragraphs under the heading.
    pub introduction: &'a [String],
    /// The tables, in their order.
    pub documents: &'a [Document],
    /// The figures.
    pub figures: &'a [Figure],
    /// The runs that cells link to.
    pub records: Vec<&'a Record>,
}

/// The whole page.
pub fn render(page: &Page<'_>) -> String {
    let mut body = format!("<header>\n<h1>{}</h1>\n", escape(page.title));
    for paragraph in page.introduction {
        body += &format!("<p>{}</p>\n", escape(paragraph));
    }
    body += "<nav>\n";
    for document in page.documents {
        body += &link(&document.name, &document.title);
    }
    for figure in page.figures {
        body += &link(&format!("figure-{}", figure.name), &figure.title);
    }
    body += "<a href=\"#runs\">Runs</a>\n</nav>\n</header>\n<main>\n<div class=\"figures\">\n";
    for figure in page.figures {
        body += &figure_section(figure);
    }
    body += "</div>\n";
    for document in page.documents {
        body += &table_section(document);
    }
    body += &runs::section(&page.records);
    body += "</main>\n";
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n{body}<script>\n{}</script>\n</body>\n</html>\n",
        escape(page.title),
        include_str!("page.css"),
        include_str!("page.js")
    )
}

fn link(name: &str, title: &str) -> String {
    format!("<a href=\"#{name}\">{}</a>\n", escape(title))
}

fn figure_section(figure: &Figure) -> String {
    format!(
        "<figure id=\"figure-{}\">\n<h2>{}</h2>\n<div class=\"light\">{}</div>\n<div class=\"dark\">{}</div>\n<figcaption>{}</figcaption>\n</figure>\n",
        figure.name,
        escape(&figure.title),
        figure.light,
        figure.dark,
        escape(&figure.caption.join(" "))
    )
}

fn table_section(document: &Document) -> String {
    let mut text = format!(
        "<section id=\"{}\">\n<h2>{}</h2>\n<div class=\"scroll\"><table class=\"sortable\">\n<thead><tr><th>{}</th><th></th>",
        document.name,
        escape(&document.title),
        escape(&document.corner)
    );
    for heading in &document.head {
        text += &format!("<th class=\"number\">{}</th>", escape(&heading.title));
    }
    text += "</tr></thead>\n<tbody>\n";
    for line in &document.lines {
        text += &row(line);
    }
    text += "</tbody>\n</table></div>\n";
    for sentence in &document.caption {
        text += &format!("<p class=\"caption\">{}</p>\n", escape(sentence));
    }
    text + "</section>\n"
}

fn row(line: &Line) -> String {
    let origin = match line.origin {
        Origin::Plain => "",
        origin => origin.name(),
    };
    let mut text = format!(
        "<tr class=\"{}\"><th scope=\"row\">{}</th><td>{origin}</td>",
        line.origin.name(),
        escape(&line.label)
    );
    for cell in &line.cells {
        let key = cell
            .sort_key()
            .map_or(String::new(), |key| format!(" data-sort=\"{key}\""));
        text += &format!("<td class=\"number\"{key}>{}</td>", content(cell));
    }
    text + "</tr>\n"
}

/// A cell; one of ours links to each of its runs.
fn content(cell: &Cell) -> String {
    match cell {
        Cell::NotRun => "<span class=\"missing\">not run</span>".to_owned(),
        Cell::Measured(found) => measured(found),
        Cell::Linked { cell, runs } => content(cell) + &links(runs),
        other => escape(&other.text()),
    }
}

fn measured(measured: &Measured) -> String {
    let mut title = format!("n = {}", measured.summary.n);
    let range = |low: f64, high: f64| format!("{low:.0$} to {high:.0$}", measured.digits);
    if let Some(interval) = measured.summary.interval {
        title += &format!(
            "; t-interval over seeds {}",
            range(interval.low, interval.high)
        );
    }
    if let Some(interval) = measured.bootstrap {
        title += &format!(
            "; bootstrap over seeds and examples {}",
            range(interval.low, interval.high)
        );
    }
    let ranges = measured.range().map_or(String::new(), |range| {
        format!(" <span class=\"range\">{range}</span>")
    });
    format!(
        "<span title=\"{}\">{} <span class=\"spread\">{}</span>{ranges}</span>{}",
        escape(&title),
        measured.mean(),
        escape(&measured.spread()),
        links(&measured.runs)
    )
}

/// A number for each run; folded where they would be wider than what they stand beside.
fn links(runs: &[String]) -> String {
    let links: Vec<String> = runs
        .iter()
        .enumerate()
        .map(|(i, run)| format!("<a href=\"#run-{run}\">{}</a>", i + 1))
        .collect();
    let links = format!("<sup>{}</sup>", links.join(" "));
    if runs.len() <= UNFOLDED {
        return links;
    }
    format!(
        "<details class=\"links\"><summary>{} runs</summary>{links}</details>",
        runs.len()
    )
}

/// Characters that HTML reads otherwise.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::example;
    use super::*;

    #[test]
    fn what_was_computed_from_runs_links_to_them() {
        let runs = |n: usize| (0..n).map(|i| format!("r{i}"));
        let cell = Cell::Text("<0.001".to_owned());
        assert_eq!(
            content(&cell.clone().resting_on(runs(1))),
            "&lt;0.001<sup><a href=\"#run-r0\">1</a></sup>"
        );
        let many = content(&cell.resting_on(runs(UNFOLDED + 1)));
        assert!(many.contains("<summary>7 runs</summary>"), "{many}");
        assert!(many.contains("<a href=\"#run-r6\">7</a>"), "{many}");
    }

    #[test]
    fn printed_numbers_are_sorted_by_what_they_stand_for() {
        let line = |text: &str| Line {
            key: String::new(),
            label: String::new(),
            origin: Origin::Paper,
            cells: vec![Cell::Text(text.to_owned())],
        };
        assert!(row(&line("355.0M")).contains("data-sort=\"355000000\">355.0M<"));
        assert!(row(&line("<0.001")).contains("data-sort=\"0.0005\">&lt;0.001<"));
        assert!(!row(&line("head only")).contains("data-sort"));
    }

    #[test]
    fn a_page_asks_the_network_for_nothing_and_links_its_cells() {
        let documents = [example()];
        let page = Page {
            title: "Results",
            introduction: &["Smoke & fire.".to_owned()],
            documents: &documents,
            figures: &[],
            records: Vec::new(),
        };
        let html = render(&page);
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("src="));
        for part in [
            "<a href=\"#run-aa\">1</a> <a href=\"#run-bb\">2</a>",
            "data-sort=\"81.25\"",
            "<span class=\"missing\">not run</span>",
            "GLUE &amp; co",
            "a, &quot;b&quot; &lt;c&gt;",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
    }
}
