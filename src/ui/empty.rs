//! Why a list is empty although there is a datapath to look at, where that has a cause of its own.

use crate::{event::CapabilityState, model::Model};

/// What keeps the list empty that needs these capabilities, and what to do; none where nothing does.
pub fn because(model: &Model, needs: &[&str]) -> Option<String> {
    let needed = || model.capabilities().iter().filter(|capability| needs.contains(&capability.name.as_str()));
    if let Some(off) = needed().find(|capability| capability.state == CapabilityState::Off) {
        return Some(format!(
            "this is not traced because of {}: start without it; the counters are in 1 Storm",
            off.why
        ));
    }
    if let Some(missing) = needed().find(|capability| capability.is_missing()) {
        return Some(format!("▲ the probe {} is missing: 7 Probes says why, and what to do", missing.name));
    }
    let counted = model.totals().is_some();
    (counted && model.datapaths().is_empty()).then(|| {
        "there is no datapath on this host: none was made, or the kernel module openvswitch is not loaded (ovs-vsctl show)".to_owned()
    })
}
