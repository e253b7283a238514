//! The tables and figures, a file each. Most tables are a [`Grid`](super::grid::Grid) of rows and tasks; a new one is a
//! file here and a line in [`all`].

mod ablations;
mod base_model;
mod calibration;
mod claims;
mod figure1;
mod figure5;
mod loss_curves;
mod settings;
mod storage;
mod table1;
mod table10;
mod table11;
mod table12;
mod table14;
mod table2;
mod table3;
mod table4;
mod table5;
mod table6;
mod table7;
mod table8;
mod table9;
mod usage;

use super::exhibit::Exhibit;

/// Every table and figure, in the paper's order.
pub fn all() -> Vec<&'static dyn Exhibit> {
    vec![
        &table1::EXHIBIT,
        &table2::EXHIBIT,
        &table3::EXHIBIT,
        &table4::EXHIBIT,
        &table5::EXHIBIT,
        &table6::Table6,
        &table7::EXHIBIT,
        &table8::EXHIBIT,
        &table9::EXHIBIT,
        &table10::EXHIBIT,
        &table11::EXHIBIT,
        &table12::EXHIBIT,
        &table14::Table14,
        &settings::Settings,
        &figure1::Figure1,
        &figure5::Figure5,
        &loss_curves::LossCurves,
        &ablations::Ablations,
        &usage::Usages,
        &storage::Storage,
        &claims::Claims,
        &base_model::BaseModel,
    ]
}
