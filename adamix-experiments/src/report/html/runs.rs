//! The runs behind the cells: one row each, its config and record to be opened.

use super::super::record::Record;
use super::super::store::file_of;
use super::escape;
use crate::run::Metrics;

/// The section that cells link to.
pub(super) fn section(records: &[&Record]) -> String {
    let heads = [
        "run",
        "task",
        "method",
        "seed",
        "last epoch",
        "best epoch",
        "steps",
        "trained",
        "merged",
        "seconds",
        "device",
    ];
    let mut text = format!(
        "<section id=\"runs\">\n<h2>Runs</h2>\n<p class=\"caption\">{} runs. Each id opens the run's record: its config, scores, outputs and hashes.</p>\n<div class=\"scroll\"><table class=\"sortable\">\n<thead><tr>",
        records.len()
    );
    for head in heads {
        text += &format!("<th>{head}</th>");
    }
    text += "</tr></thead>\n<tbody>\n";
    for record in records {
        text += &row(record);
    }
    text + "</tbody>\n</table></div>\n</section>\n"
}

fn row(record: &Record) -> String {
    let config = toml::to_string(&record.config).unwrap_or_default();
    let number = |value: usize| format!("<td class=\"number\" data-sort=\"{value}\">{value}</td>");
    let seconds = record.seconds.get("total").copied().unwrap_or_default();
    format!(
        "<tr id=\"run-{id}\"><td><a href=\"{file}\"><code>{id}</code></a><details><summary>config</summary><pre>{config}</pre><pre>base {base}\ndata {data}</pre></details></td><td>{task}</td><td>{method}</td>{seed}<td>{last}</td><td>{best}</td>{steps}{trained}{merged}<td class=\"number\" data-sort=\"{seconds:.1}\">{seconds:.0}</td><td>{device}</td></tr>\n",
        id = record.id,
        file = file_of(record),
        config = escape(&config),
        base = record.base_hash,
        data = record.data_hash,
        task = escape(&record.task),
        method = escape(&record.method),
        seed = number(record.seed() as usize),
        last = scores(record.last.epoch, &record.last.metrics),
        best = scores(record.best.epoch, &record.best.metrics),
        steps = number(record.last.step),
        trained = number(record.parameters.trained),
        merged = number(record.parameters.merged),
        device = escape(&record.device),
    )
}

fn scores(epoch: usize, metrics: &Metrics) -> String {
    let one = |(name, value): (&String, &Option<f64>)| match value {
        Some(value) => format!("{} {value:.4}", escape(name)),
        None => format!("{} undefined", escape(name)),
    };
    let all: Vec<String> = metrics.iter().map(one).collect();
    format!("{epoch}: {}", all.join(", "))
}
