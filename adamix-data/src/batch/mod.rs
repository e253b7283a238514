//! From encoded examples to the arrays of a batch, and which examples share a batch.

mod plan;

pub use plan::{Order, fill_batches, plan_epoch, plan_evaluation};

use crate::tokenize::Encoding;

/// Examples padded to one length, row-major `[size, seq]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The examples' ids, `[size]`.
    pub rows: Vec<u32>,
    /// Token ids; padding is the tokenizer's padding id.
    pub ids: Vec<i32>,
    /// Segment ids; padding is 0.
    pub type_ids: Vec<i32>,
    /// 1 at a token, 0 at padding.
    pub mask: Vec<f32>,
    /// Number of examples.
    pub size: usize,
    /// Tokens an example, padding included.
    pub seq: usize,
}

/// Pads encodings to the longest of them, on the right.
///
/// `pad_to` asks for at least that length (the released code pads every batch to 128); nothing is ever cut.
pub fn collate(examples: &[(u32, &Encoding)], pad_id: u32, pad_to: Option<usize>) -> Batch {
    let longest = examples.iter().map(|(_, e)| e.len()).max().unwrap_or(0);
    let seq = longest.max(pad_to.unwrap_or(0));
    let size = examples.len();
    let mut batch = Batch {
        rows: examples.iter().map(|(id, _)| *id).collect(),
        ids: vec![pad_id as i32; size * seq],
        type_ids: vec![0; size * seq],
        mask: vec![0.0; size * seq],
        size,
        seq,
    };
    for (row, (_, encoding)) in examples.iter().enumerate() {
        for (column, (&id, &type_id)) in encoding.ids.iter().zip(&encoding.type_ids).enumerate() {
            let at = row * seq + column;
            batch.ids[at] = id as i32;
            batch.type_ids[at] = type_id as i32;
            batch.mask[at] = 1.0;
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoding(ids: &[u32]) -> Encoding {
        Encoding {
            ids: ids.to_vec(),
            type_ids: ids.iter().map(|id| id % 2).collect(),
        }
    }

    #[test]
    fn padding_goes_right_to_the_longest() {
        let (a, b) = (encoding(&[2, 5, 3]), encoding(&[2, 3]));
        let batch = collate(&[(7, &a), (4, &b)], 9, None);
        assert_eq!((batch.size, batch.seq), (2, 3));
        assert_eq!(batch.rows, [7, 4]);
        assert_eq!(batch.ids, [2, 5, 3, 2, 3, 9]);
        assert_eq!(batch.type_ids, [0, 1, 1, 0, 1, 0]);
        assert_eq!(batch.mask, [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        // Shorter than needed: the request gives way. No example: no element.
        assert_eq!(collate(&[(7, &a)], 9, Some(2)).seq, 3);
        assert_eq!(collate(&[], 9, Some(128)).ids, Vec::<i32>::new());
    }

    proptest! {
        #[test]
        fn padding_never_changes_the_ids(
            rows in prop::collection::vec(prop::collection::vec(0u32..50_000, 1..40), 1..9),
            pad_to in prop::option::of(0usize..80),
        ) {
            let encodings: Vec<Encoding> = rows.iter().map(|r| encoding(r)).collect();
            let examples: Vec<(u32, &Encoding)> = (0..).zip(&encodings).collect();
            let batch = collate(&examples, 0, pad_to);
            for (i, encoding) in encodings.iter().enumerate() {
                let row = i * batch.seq..(i + 1) * batch.seq;
                let kept = batch.mask[row.clone()].iter().filter(|&&m| m == 1.0).count();
                prop_assert_eq!(kept, encoding.len());
                for (at, column) in row.enumerate() {
                    let inside = at < encoding.len();
                    prop_assert_eq!(batch.mask[column] == 1.0, inside);
                    prop_assert_eq!(batch.ids[column], if inside { encoding.ids[at] as i32 } else { 0 });
                    prop_assert_eq!(batch.type_ids[column], if inside { encoding.type_ids[at] as i32 } else { 0 });
                }
            }
        }
    }
}
