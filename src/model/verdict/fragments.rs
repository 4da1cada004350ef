//! The rule about packets in fragments.

use super::super::windows::Matter;
use super::{
    Cause, Evidence, Finding, Severity,
    words::{each, percent},
};

/// Upcalls per second of packets in fragments that are worth a word, and those that cost.
const SOME: f64 = 10.0;
const MANY: f64 = 100.0;

/// Packets come in fragments. Connection tracking puts them together, what goes up is the whole, and it is cut again where
/// it leaves.
pub fn fragments(e: &Evidence<'_>) -> Option<Finding> {
    let (dropped, why) = dropped(e);
    let (matter, what) = if e.share(Matter::Reassembled) >= e.share(Matter::Fragment) {
        (Matter::Reassembled, "were reassembled from fragments")
    } else {
        (Matter::Fragment, "are later fragments, which have no ports")
    };
    let (share, per_second) = (e.share(matter), e.matter(matter));
    let is_most = share >= 0.5 && per_second >= SOME;
    let severity = match per_second {
        _ if dropped >= 1.0 => Severity::Critical,
        MANY.. if is_most => Severity::Warning,
        _ if is_most => Severity::Note,
        _ => return None,
    };
    let port = e.top_port().filter(|_| is_most);
    let from = port.as_ref().map_or(String::new(), |(_, name, _)| format!(", most from {name}"));
    let headline = if dropped >= 1.0 {
        format!("reassembled packets cannot be fragmented again: {} are dropped", each(dropped, "packets"))
    } else {
        format!("packets come in fragments: {} of packets that {what}{from}", each(per_second, "upcalls"))
    };
    let mut finding =
        Finding::new(Cause::Fragments, severity, headline).culprit(port.map(|(culprit, ..)| culprit)).note(why);
    if is_most {
        finding = finding
            .figure(format!("{} of the upcalls' packets {what}", percent(share)))
            .against(e.sampled().filter(|_| dropped < 1.0));
    }
    Some(finding)
}

/// Packets per second that could not be cut again, and the kernel's reasons, which it has since 6.6.
fn dropped(e: &Evidence<'_>) -> (f64, Option<String>) {
    let drops = e.model.drops();
    let cut = drops.iter().filter(|row| row.name.starts_with("OVS_DROP_FRAG_") && row.rate > 0.0);
    let reasons: Vec<String> = cut.clone().map(|row| format!("{} for {}", each(row.rate, "drops"), row.name)).collect();
    (cut.map(|row| row.rate).sum(), (!reasons.is_empty()).then(|| reasons.join(", ")))
}
