//! The table of a `config.json` as a model's dimensions, with the key at fault where it is none.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Error, Map, Value};

use super::HubError;

/// The most values that one map or table of a model may have, 4 GiB: a hostile product of sizes must fail here, not in an
/// allocation.
const MOST: usize = 1 << 30;

/// What a table says, where a null is as good as absent. Serde does not tell whose value is of another type: each is tried in
/// the place of its own in `sound`, which is any configuration of that kind.
pub(crate) fn dimensions<T: Serialize + DeserializeOwned>(
    mut table: Map<String, Value>,
    sound: &T,
    path: &Path,
) -> Result<T, HubError> {
    table.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(table.clone())).map_err(|error| {
        let fault = |(key, value): (&String, &Value)| {
            let error = tried(sound, key, value).err()?;
            Some(format!("`{key}`: {error}"))
        };
        // One that is missing is named by the error itself.
        let message = table.iter().find_map(fault);
        HubError::Format {
            path: path.to_owned(),
            message: message.unwrap_or_else(|| error.to_string()),
        }
    })
}

/// A sound configuration with the value of one key.
fn tried<T: Serialize + DeserializeOwned>(sound: &T, key: &str, value: &Value) -> Result<T, Error> {
    let mut table = serde_json::to_value(sound)?;
    table[key] = value.clone();
    serde_json::from_value(table)
}

/// The keys at fault, what they are and what would do, where a map of a model is too large. All have the width `key` on one
/// side and one of `others` on the other.
pub(crate) fn check_products(
    key: &str,
    width: usize,
    others: &[(&str, usize)],
) -> Result<(), (String, String, String)> {
    for (other, size) in others {
        if width.saturating_mul(*size) > MOST {
            return Err((
                format!("{key} x {other}"),
                format!("{width} x {size}"),
                format!("a product of at most {MOST}"),
            ));
        }
    }
    Ok(())
}
