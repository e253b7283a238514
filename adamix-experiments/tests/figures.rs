//! Every kind of figure, drawn in all its forms: written beside the tests' other files, to be looked at.

use std::io::Read;
use std::path::Path;

use adamix_experiments::plot::{
    self, Bar, Bars, Calibration, Curves, HeatMap, Panel, Plot, Point, Scatter, Series, Theme,
    Violin, Violins,
};
use adamix_experiments::statistics::Interval;
use adamix_keys::Key;

/// What a figure rests on, longer than a line of it.
const NOTE: &str = "laptop profile, MRPC: 4 runs (seeds 1–4), n = 408 rows; STS-B: 4 runs (seeds 1–4), n = 1,500 rows";

/// Draws a figure, looks for words in it, and checks that its pixels are a picture.
fn draws(name: &str, plot: &impl Plot, words: &[&str]) {
    let caption = vec!["All rows & seeds.".to_owned()];
    let figure = plot::figure(plot, name, name, caption, NOTE).unwrap();
    for svg in [&figure.light, &figure.dark] {
        for word in words {
            assert!(svg.contains(word), "{name}: {word}");
        }
        // What it rests on, for who has the file alone.
        let said = format!("<title>{name}</title>\n<desc>All rows &amp; seeds.</desc>");
        assert!(svg.contains(&said), "{name}");
        assert!(
            svg.contains("laptop profile, MRPC: 4 runs (seeds 1–4)"),
            "{name}"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    }
    assert_ne!(figure.light, figure.dark);
    let (width, height) = size(&figure.light);
    assert_eq!(width, plot.size().0);
    let bare = plot::png(plot, Theme::Light).unwrap();
    let bare = pixels(&bare, 2 * width, 2 * plot.size().1);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures");
    std::fs::create_dir_all(&folder).unwrap();
    for (theme, png, svg) in [
        ("light", &figure.pixels[0], &figure.light),
        ("dark", &figure.pixels[1], &figure.dark),
    ] {
        let rows = pixels(png, 2 * width, 2 * height);
        let page = &rows[0][..3];
        // The note is below the figure, and leaves it as it is.
        let (above, note) = rows.split_at(bare.len());
        assert!(theme == "dark" || above == bare, "{name}");
        let written = note.iter().flat_map(|row| row.chunks(3));
        assert!(
            written.filter(|pixel| *pixel != page).count() > 500,
            "{name}"
        );
        let drawn = rows
            .iter()
            .flat_map(|row| row.chunks(3))
            .filter(|pixel| *pixel != page);
        let share = drawn.count() as f64 / f64::from(4 * width * height);
        assert!(
            (0.01..0.9).contains(&share),
            "{name}: {share} of the picture is drawn"
        );
        std::fs::write(folder.join(format!("{name}-{theme}.png")), png).unwrap();
        std::fs::write(folder.join(format!("{name}-{theme}.svg")), svg).unwrap();
    }
    // The same figure has the same bytes.
    let again = plot::figure(plot, name, name, figure.caption.clone(), NOTE).unwrap();
    assert_eq!(again, figure);
}

/// Width and height that an SVG states.
fn size(svg: &str) -> (u32, u32) {
    let number = |name: &str| {
        let (_, rest) = svg.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    (number("width"), number("height"))
}

/// The rows of an unfiltered PNG of a known size.
fn pixels(png: &[u8], width: u32, height: u32) -> Vec<Vec<u8>> {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (width, height));
    let data = png.windows(4).position(|w| w == b"IDAT").unwrap() + 4;
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(&png[data..])
        .read_to_end(&mut bytes)
        .unwrap();
    let rows: Vec<Vec<u8>> = bytes
        .chunks(3 * width as usize + 1)
        .map(|row| row[1..].to_vec())
        .collect();
    assert_eq!(rows.len(), height as usize);
    rows
}

fn normal(key: Key) -> f64 {
    (0..12).map(|i| key.fold(i).uniform()).sum::<f64>() - 6.0
}

#[test]
fn scatter() {
    let point = |name: &str, x: f64, y: f64| Point {
        name: name.to_owned(),
        x,
        y,
        interval: Some(Interval {
            low: y - 0.8,
            high: y + 1.1,
        }),
    };
    let scatter = Scatter {
        x_title: "trained parameters".into(),
        y_title: "mean score".into(),
        points: vec![
            point("head only", 770.0, 69.8),
            point("one adapter", 76_898.0, 80.1),
            point("LoRA", 74_498.0, 79.5),
            point("AdaMix", 187_778.0, 80.6),
            point("full fine-tuning", 22_713_986.0, 81.0),
        ],
        line: Some(("full fine-tuning".into(), 81.0)),
    };
    draws(
        "scatter",
        &scatter,
        &["AdaMix", "LoRA", "trained parameters", "100k", "mean score"],
    );
}

#[test]
fn curves() {
    let series = |name: &str, start: f64, rate: f64| {
        let points: Vec<(f64, f64)> = (0..40)
            .map(|i| {
                let x = f64::from(i) * 10.0;
                (
                    x,
                    0.2 + start * (-x / rate).exp() + 0.01 * normal(Key::new(i as u64)),
                )
            })
            .collect();
        Series {
            name: name.to_owned(),
            band: points
                .iter()
                .map(|(x, y)| (*x, y - 0.04, y + 0.04))
                .collect(),
            points,
            ..Series::default()
        }
    };
    let curves = Curves {
        title: String::new(),
        x_title: "step".into(),
        y_title: "training loss".into(),
        log: false,
        series: vec![
            series("up shared", 0.5, 90.0),
            series("nothing shared", 0.5, 150.0),
        ],
    };
    draws(
        "curves",
        &curves,
        &["up shared", "nothing shared", "training loss", "<polygon"],
    );
    let line = |name: &str, slope: f64, start: f64| Series {
        name: name.to_owned(),
        points: (1..=16)
            .map(|n| (f64::from(n), start + slope * f64::from(n)))
            .collect(),
        marked: true,
        ..Series::default()
    };
    let storage = Curves {
        title: String::new(),
        x_title: "tasks".into(),
        y_title: "megabytes on disk".into(),
        log: true,
        series: vec![
            line("full fine-tuning", 1420.0, 0.0),
            line("AdaMix with heads", 7.46, 1420.0),
            line("AdaMix without heads", 3.25, 1420.0),
        ],
    };
    draws(
        "storage",
        &storage,
        &["full fine-tuning", "megabytes on disk", "10k"],
    );
}

#[test]
fn violins() {
    let violin = |name: &str, seed: u64| Violin {
        name: name.to_owned(),
        values: (0..50)
            .map(|i| 78.0 + 0.8 * normal(Key::new(seed).fold(i)))
            .collect(),
        mark: Some(79.4),
    };
    let panel = |title: &str, seed: u64| Panel {
        title: title.to_owned(),
        violins: (0..3)
            .map(|i| violin(&format!("{}", i + 1), seed + i))
            .collect(),
    };
    let violins = Violins {
        y_title: "score".into(),
        panels: vec![panel("MRPC", 1), panel("STS-B", 7), panel("RTE", 9)],
        mark: "merged".into(),
    };
    draws(
        "violins",
        &violins,
        &["MRPC", "STS-B", "dot: merged", "<polygon"],
    );
}

#[test]
fn bars() {
    let bar = |name: &str, value: f64, group: usize| Bar {
        name: name.to_owned(),
        value,
        interval: Some(Interval {
            low: value - 1.2,
            high: value + 0.9,
        }),
        group,
        paper: Some(value - 0.5),
    };
    let bars = Bars {
        x_title: "difference from AdaMix, points".into(),
        bars: vec![
            bar("no consistency, MRPC", -0.5, 0),
            bar("no consistency, RTE", -4.4, 1),
            bar("no sharing, MRPC", -1.5, 0),
            bar("no sharing, RTE", 0.8, 1),
        ],
    };
    draws(
        "bars",
        &bars,
        &["no sharing, RTE", "difference from AdaMix", "<rect"],
    );
}

#[test]
fn heat_map() {
    let share = |layer: u64, expert: u64, part: u64| {
        0.15 + 0.2 * Key::new(layer).fold(expert).fold(part).uniform()
    };
    let layer = |layer: u64| {
        let experts = (0..4)
            .map(|e| (0..30).map(|p| share(layer, e, p)).collect())
            .collect();
        (format!("layer {}", layer + 1), experts)
    };
    let map = HeatMap {
        x_title: "step".into(),
        x_ends: ("1".into(), "1,150".into()),
        value_title: "of the draws".into(),
        largest: 0.5,
        layers: (0..6).map(layer).collect(),
    };
    draws(
        "heat-map",
        &map,
        &["layer 6", "1,150", "0 to 0.5 of the draws"],
    );
}

#[test]
fn calibration() {
    let rows = |seed: u64, sharp: f64| {
        (0..400)
            .map(|i| {
                let key = Key::new(seed).fold(i);
                let confidence = 0.5 + 0.5 * key.uniform();
                (
                    confidence,
                    key.fold(1).uniform() < 0.5 + (confidence - 0.5) * sharp,
                )
            })
            .collect()
    };
    let calibration = Calibration {
        models: vec![
            ("merged".into(), rows(1, 0.6)),
            ("ensemble".into(), rows(2, 0.95)),
        ],
        bins: 10,
    };
    draws(
        "calibration",
        &calibration,
        &["merged, error 0.", "confidence", "accuracy"],
    );
}
