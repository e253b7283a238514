//! What is trained, by the names of the paper's tables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use toml::Table;

/// One adaptation of a frozen model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bottleneck adapter where AdaMix has it: after the feed-forward block's last projection.
    Adapter,
    /// Houlsby et al. 2019: adapters after attention and feed-forward, after dropout.
    Houlsby,
    /// Pfeiffer et al. 2021: one adapter a layer, between the norm and its repetition.
    Pfeiffer,
    /// He et al. 2022: one adapter a layer, beside the feed-forward block.
    Parallel,
    /// LiST (Wang et al. 2021): linear adapters without biases after both projections.
    List,
    /// Lin et al. 2020: one adapter with its own norm at the end of a layer (Adapter^L in Hu et al. 2022).
    Lin,
    /// Hu et al. 2022: low-rank updates of queries and values.
    Lora,
    /// Liu et al. 2022: scaled keys, values and inner activations.
    Ia3,
    /// Li & Liang 2021: trained keys and values in every layer.
    Prefix,
    /// Lester et al. 2021: trained word embeddings before the text.
    Prompt,
    /// Trained hidden states before those of the text in every layer (PreLayer in Hu et al. 2022).
    PreLayer,
    /// Mao et al. 2022: gated Pfeiffer adapters and prefixes.
    UnipeltAp,
    /// The same with gated low-rank updates.
    UnipeltApl,
    /// Zaken et al. 2022: the base model's biases.
    BitFit,
    /// The base model's last layers (FT-Top2).
    Top,
    /// The head alone.
    Head,
    /// The whole model.
    Full,
}

/// Every kind with its name.
pub const KINDS: [(Kind, &str); 17] = [
    (Kind::Adapter, "adapter"),
    (Kind::Houlsby, "houlsby"),
    (Kind::Pfeiffer, "pfeiffer"),
    (Kind::Parallel, "parallel"),
    (Kind::List, "list"),
    (Kind::Lin, "lin"),
    (Kind::Lora, "lora"),
    (Kind::Ia3, "ia3"),
    (Kind::Prefix, "prefix"),
    (Kind::Prompt, "prompt"),
    (Kind::PreLayer, "prelayer"),
    (Kind::UnipeltAp, "unipelt-ap"),
    (Kind::UnipeltApl, "unipelt-apl"),
    (Kind::BitFit, "bitfit"),
    (Kind::Top, "top"),
    (Kind::Head, "head"),
    (Kind::Full, "full"),
];

/// What is trained beside the head: an adaptation by its name, or a mixture of it by `adamix-` before the
/// name. `adamix` alone is the paper's mixture of adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Method {
    /// The adaptation.
    pub kind: Kind,
    /// Whether there are several experts.
    pub mixture: bool,
}

impl Method {
    /// The paper's mixture of adapters.
    pub const ADAMIX: Self = Self {
        kind: Kind::Adapter,
        mixture: true,
    };

    /// The values of `[adaptation]` that the method has unless a config names others.
    pub fn defaults(self) -> Table {
        let text = match self.kind {
            // The stock code's swish; its attention adapter is missing for BERT, here it is not.
            Kind::Houlsby => "activation = 'swish'",
            Kind::Pfeiffer | Kind::Parallel | Kind::Lin => "activation = 'relu'",
            Kind::List => "activation = 'identity'\nbottleneck = 128\ninitializer_range = 2e-4",
            Kind::UnipeltAp => "activation = 'relu'\nbottleneck = 48",
            Kind::UnipeltApl => "activation = 'relu'\nbottleneck = 48\nrank = 8",
            Kind::Top => "layers = 2",
            _ => "",
        };
        text.parse().expect("the defaults are TOML")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        let name = named.map_or("", |(_, name)| name);
        match (*self, self.mixture) {
            (Self::ADAMIX, _) => f.write_str("adamix"),
            (_, true) => write!(f, "adamix-{name}"),
            (_, false) => f.write_str(name),
        }
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "adamix" {
            return Ok(Self::ADAMIX);
        }
        let (name, mixture) = match text.strip_prefix("adamix-") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let names = || KINDS.map(|(_, name)| name).join(", ");
        let Some((kind, _)) = KINDS.iter().find(|(_, known)| *known == name) else {
            return Err(format!(
                "unknown method `{text}`; known are adamix, {}, and `adamix-` before those that can be mixed",
                names()
            ));
        };
        let single = [Kind::BitFit, Kind::Top, Kind::Head, Kind::Full];
        if mixture && single.contains(kind) {
            return Err(format!(
                "method `{text}`: `{name}` adds nothing that could be mixed"
            ));
        }
        let kind = *kind;
        Ok(Self { kind, mixture })
    }
}

impl TryFrom<String> for Method {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (kind, name) in KINDS {
            let method: Method = name.parse().unwrap();
            assert_eq!((method.kind, method.mixture), (kind, false));
            assert_eq!(method.to_string(), name);
            method.defaults();
        }
        assert_eq!("adamix".parse(), Ok(Method::ADAMIX));
        assert_eq!("adamix-adapter".parse(), Ok(Method::ADAMIX));
        let lora: Method = "adamix-lora".parse().unwrap();
        assert!(lora.mixture && lora.to_string() == "adamix-lora");
        let error = |name: &str| name.parse::<Method>().unwrap_err();
        assert!(error("adamix-full").contains("nothing that could be mixed"));
        assert!(error("psychic").contains("houlsby"));
    }
}
