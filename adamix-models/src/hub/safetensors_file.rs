//! A safetensors file, read tensor by tensor: the header first, each tensor's bytes when asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::HubError;

/// A header larger than this is refused, as the format's reference implementation does.
const MAX_HEADER: u64 = 100_000_000;

/// Where a tensor lies in its file.
#[derive(Clone, Debug)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    start: u64,
    bytes: usize,
}

/// An open file and its table of tensors.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl SafetensorsFile {
    /// Reads and checks the header: every tensor's size fits its shape and lies inside the file.
    pub fn open(path: &Path) -> Result<Self, HubError> {
        let io = |source| HubError::Io {
            path: path.to_owned(),
            source,
        };
        let bad = |message: String| HubError::Format {
            path: path.to_owned(),
            message,
        };
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut size = [0u8; 8];
        if length < 8 {
            return Err(bad(format!("not a safetensors file: only {length} bytes")));
        }
        file.read_exact(&mut size).map_err(io)?;
        let header = u64::from_le_bytes(size);
        if header > MAX_HEADER || header > length - 8 {
            return Err(bad(format!(
                "header claims {header} bytes, the file has {length}: truncated or damaged"
            )));
        }
        let mut bytes = vec![0u8; header as usize];
        file.read_exact(&mut bytes).map_err(io)?;
        let metadata: Metadata = serde_json::from_slice(&bytes)
            .map_err(|e| bad(format!("the header is not valid: {e}")))?;
        let data = length - 8 - header;
        let mut entries = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let count = info
                .shape
                .iter()
                .try_fold(1usize, |product, n| product.checked_mul(*n));
            let expected = count
                .and_then(|n| n.checked_mul(info.dtype.bitsize()))
                .map(|bits| bits / 8);
            if end < start || end as u64 > data || expected != Some(end - start) {
                return Err(bad(format!(
                    "tensor `{name}` claims bytes {start}..{end} for {:?} {:?}, the file holds {data}: truncated or damaged",
                    info.dtype, info.shape
                )));
            }
            let entry = Entry {
                dtype: info.dtype,
                shape: info.shape.clone(),
                start: 8 + header + start as u64,
                bytes: end - start,
            };
            entries.insert(name, entry);
        }
        Ok(Self {
            path: path.to_owned(),
            entries,
        })
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|e| e.shape.as_slice())
    }

    /// The values of a tensor as f32, row-major.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, HubError> {
        let missing = || HubError::Missing {
            path: self.path.clone(),
            tensor: name.to_owned(),
        };
        let entry = self.entries.get(name).ok_or_else(missing)?;
        let io = |source| HubError::Io {
            path: self.path.clone(),
            source,
        };
        let mut file = File::open(&self.path).map_err(io)?;
        file.seek(SeekFrom::Start(entry.start)).map_err(io)?;
        let mut bytes = vec![0u8; entry.bytes];
        file.read_exact(&mut bytes).map_err(io)?;
        to_f32(&format!("{:?}", entry.dtype), &bytes).ok_or_else(|| HubError::Type {
            path: self.path.clone(),
            tensor: name.to_owned(),
            found: format!("{:?}", entry.dtype),
        })
    }
}

/// Little-endian floats of the named type as f32, or `None` for another type.
pub fn to_f32(dtype: &str, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        "F32" => words(bytes, f32::from_le_bytes),
        "F64" => words(bytes, |b| f64::from_le_bytes(b) as f32),
        "F16" => words(bytes, |b| f16::from_le_bytes(b).to_f32()),
        "BF16" => words(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        _ => return None,
    })
}

fn words<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes
        .chunks_exact(N)
        .map(|chunk| convert(chunk.try_into().expect("a chunk of N bytes")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits of 1.5 and -2, by hand.
    const BITS: [(&str, &[u8]); 4] = [
        ("F16", &[0x00, 0x3E, 0x00, 0xC0]),
        ("BF16", &[0xC0, 0x3F, 0x00, 0xC0]),
        ("F32", &[0, 0, 0xC0, 0x3F, 0, 0, 0x00, 0xC0]),
        (
            "F64",
            &[0, 0, 0, 0, 0, 0, 0xF8, 0x3F, 0, 0, 0, 0, 0, 0, 0x00, 0xC0],
        ),
    ];

    #[test]
    fn floats_of_every_type_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        for (dtype, bits) in BITS {
            let (shape, offsets) = ([2], [0, bits.len()]);
            let header = format!(
                r#"{{"x": {{"dtype": "{dtype}", "shape": {shape:?}, "data_offsets": {offsets:?}}}}}"#
            );
            let length = (header.len() as u64).to_le_bytes();
            std::fs::write(&path, [&length, header.as_bytes(), bits].concat()).unwrap();
            let file = SafetensorsFile::open(&path).unwrap();
            assert_eq!(file.read("x").unwrap(), [1.5, -2.0], "{dtype}");
        }
        assert_eq!(to_f32("I32", BITS[2].1), None);
    }
}
