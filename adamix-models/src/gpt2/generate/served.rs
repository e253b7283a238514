//! The model's side of a search: along which paths it runs.

use adamix_core::routing::Routes;

use crate::gpt2::Gpt2;

/// A model as it is run: along one path through its mixtures, or as the mean of the logits over several.
#[derive(Clone, Debug)]
pub struct Served<'a> {
    /// The model, outside autodiff.
    pub model: &'a Gpt2,
    /// The routes of each path, one at least; a site without a decision runs its first expert.
    pub paths: Vec<Routes>,
}

impl<'a> From<&'a Gpt2> for Served<'a> {
    /// A plain or merged model, which has one path.
    fn from(model: &'a Gpt2) -> Self {
        Self {
            model,
            paths: vec![Routes::new()],
        }
    }
}
