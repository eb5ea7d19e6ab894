//! What people do with incidents: what they say of them, whose they are, when nobody is to be told.
//!
//! All of it lies over what the engine found and changes nothing of it. Who shows or tells an incident asks
//! the [`Overlay`] how it stands with people at a moment.

mod act;
mod overlay;
mod owner;
mod proof;
mod quiet;
mod remark;
mod remedy;
#[cfg(test)]
mod tests;

pub use act::{Deed, IncidentAct};
pub use overlay::{Acknowledged, Opening, Overlay, Standing, Telling, got_worse};
pub use owner::{Owner, OwnerRow, owner_of};
pub use proof::{Proof, Side};
pub use quiet::{Cover, Places, Quiet, QuietKind, QuietScope};
pub use remark::{InvalidRemark, Remark, ShortRemark};
pub use remedy::{Remedy, remedy};
