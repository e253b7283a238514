//! Triples on one line.

/// A subject, what is said of it, and the object.
pub(super) type Triple = [String; 3];

/// `subject : relation : object | subject : …`, marks and underscores as they are.
pub(super) fn linearise(triples: &[Triple]) -> String {
    let parts: Vec<String> = triples.iter().map(|triple| triple.join(" : ")).collect();
    parts.join(" | ")
}
