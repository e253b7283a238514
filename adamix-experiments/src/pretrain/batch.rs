//! Rows of one length, and what a model is asked about them.

/// Rows of one length with the tokens to be predicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// What the model sees, row after row.
    pub ids: Vec<u32>,
    /// Where it is asked: indices into `ids`, ascending.
    pub places: Vec<i32>,
    /// The answers: what is hidden there, or what comes next.
    pub labels: Vec<u32>,
}

impl Batch {
    /// Adds a row, to be continued from each of its tokens but the last.
    pub(super) fn push_continued(&mut self, row: &[u32]) {
        let start = self.ids.len();
        self.ids.extend_from_slice(row);
        self.places
            .extend((start..self.ids.len() - 1).map(|place| place as i32));
        self.labels.extend_from_slice(&row[1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_causal_row_is_asked_what_comes_next() {
        let mut batch = Batch::default();
        for row in [[7, 8, 9], [4, 5, 6]] {
            batch.push_continued(&row);
        }
        assert_eq!(batch.ids, [7, 8, 9, 4, 5, 6]);
        assert_eq!(batch.places, [0, 1, 3, 4]);
        assert_eq!(batch.labels, [8, 9, 5, 6]);
    }
}
