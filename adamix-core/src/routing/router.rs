//! The parameters that a learned policy declares, owned by the mixture: `<site>.adamix.router.*`.

use adamix_keys::Key;
use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::linear::Linear;
use crate::random::Initializer;

/// What a policy knows of a mixture when it declares parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterShape {
    /// Width of the mixture's input.
    pub width: usize,
    /// M: the experts of the side that has more.
    pub experts: usize,
}

/// An affine map that a policy declares. A table is a map of one-hot rows, without a bias.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Its name: `gate` becomes `<site>.adamix.router.gate.weight`.
    pub name: String,
    /// Width of its input.
    pub input: usize,
    /// Width of its output.
    pub output: usize,
    /// Whether it has a bias, which starts at zero.
    pub bias: bool,
    /// Standard deviation of its fresh weight.
    pub initializer_range: f64,
}

impl Declared {
    /// A map without a bias, its weight drawn from N(0, 0.02).
    pub fn new(name: &str, input: usize, output: usize) -> Self {
        Self {
            name: name.to_owned(),
            input,
            output,
            bias: false,
            initializer_range: 0.02,
        }
    }
}

/// The declared maps of one mixture, by name. It has no forward of its own: its policy runs it.
#[derive(Clone, Debug)]
pub struct Router {
    maps: Vec<(String, Linear)>,
}

impl Router {
    /// Fresh trainable maps, or `None` where nothing is declared.
    pub fn init(declared: &[Declared], key: Key, device: &Device) -> Option<Self> {
        let map = |declared: &Declared| {
            let initializer = Initializer::Normal(declared.initializer_range);
            let shape = [declared.input, declared.output];
            let key = key.purpose(&declared.name).purpose("weight");
            let weight = initializer.sample(key, declared.input * declared.output);
            let bias = declared.bias.then(|| vec![0.0; declared.output]);
            let map = Linear::from_values(shape, weight, bias, device);
            (declared.name.clone(), map)
        };
        (!declared.is_empty()).then(|| Self {
            maps: declared.iter().map(map).collect(),
        })
    }

    /// The map of that name.
    ///
    /// # Panics
    /// If the policy did not declare it.
    pub fn map(&self, name: &str) -> &Linear {
        let found = self.maps.iter().find(|(known, _)| known == name);
        &found
            .unwrap_or_else(|| panic!("the policy uses `{name}`, which it did not declare"))
            .1
    }

    /// What was declared, as far as the maps tell; fresh weights do not matter any more.
    pub fn declared(&self) -> Vec<Declared> {
        let declared = |(name, map): &(String, Linear)| {
            let [input, output] = map.shape();
            Declared {
                bias: map.bias.is_some(),
                ..Declared::new(name, input, output)
            }
        };
        self.maps.iter().map(declared).collect()
    }

    fn each(self, change: impl Fn(Linear) -> Linear) -> Self {
        Self {
            maps: self
                .maps
                .into_iter()
                .map(|(name, map)| (name, change(map)))
                .collect(),
        }
    }
}

// By hand, because the derive knows no names but those of fields.
impl Module for Router {
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.maps
            .iter()
            .fold(devices, |devices, (_, map)| map.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.each(|map| map.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.each(|map| map.to_device(device))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (name, map) in &self.maps {
            visitor.enter_module(name, "Struct:Router");
            map.visit(visitor);
            visitor.exit_module(name, "Struct:Router");
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let maps = self.maps.into_iter().map(|(name, map)| {
            mapper.enter_module(&name, "Struct:Router");
            let map = map.map(mapper);
            mapper.exit_module(&name, "Struct:Router");
            (name, map)
        });
        Self {
            maps: maps.collect(),
        }
    }

    fn valid(&self) -> Self {
        self.clone().each(|map| map.valid())
    }

    fn train(self) -> Self {
        self.each(Module::train)
    }

    fn materialize(self) -> Self {
        self.each(Module::materialize)
    }
}

impl ModuleDisplayDefault for Router {
    fn content(&self, content: Content) -> Option<Content> {
        let add = |content: Content, (name, map): &(String, Linear)| content.add(name, map);
        self.maps.iter().fold(content, add).optional()
    }
}

impl ModuleDisplay for Router {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::{self, Named};

    impl Named for Router {}

    #[test]
    fn declared_maps_are_parameters_by_name() {
        let declared = [
            Declared::new("gate", 8, 4),
            Declared {
                bias: true,
                ..Declared::new("threshold", 8, 1)
            },
        ];
        let device = Device::flex().autodiff();
        let router = Router::init(&declared, Key::new(1), &device).unwrap();
        let found: Vec<_> = parameter::parameters(&router)
            .into_iter()
            .map(|p| (p.name, p.shape, p.trainable))
            .collect();
        assert_eq!(
            found,
            [
                ("gate.weight".to_owned(), vec![4, 8], true),
                ("threshold.weight".to_owned(), vec![1, 8], true),
                ("threshold.bias".to_owned(), vec![1], true),
            ]
        );
        assert_eq!(router.declared(), declared);
        let values = parameter::export(&router, |_| true);
        let other = Router::init(&declared, Key::new(2), &device).unwrap();
        let other = parameter::assign(other, values.clone()).unwrap();
        assert_eq!(parameter::export(&other, |_| true), values);
        assert!(Router::init(&[], Key::new(1), &Device::flex()).is_none());
    }
}
