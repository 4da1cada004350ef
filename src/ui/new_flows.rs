//! How the flows that were made just now differ, in one line.

use super::{format, pen::Pen, text};
use crate::model::{FieldSpread, Spreads};

/// Draws it: how many there are, the field that most of them differ in alone, how many no packet hit, and the other fields
/// as far as there is room. Half a number would mislead.
pub fn draw(pen: &mut Pen<'_>, spreads: &Spreads) {
    if pen.height() == 0 || spreads.fields.is_empty() {
        return;
    }
    let theme = *pen.theme;
    let mut x =
        pen.pieces(1, 0, &[("new in 10 s ", theme.quiet), (&format::count(spreads.flows as u64), theme.strong)]);
    let sampled = (spreads.left_out > 0).then(|| format!(" of {}", format::count(made(spreads))));
    let mut fields = spreads.fields.iter().map(|field| format!(" · {}", differs(field, spreads.flows)));
    let unused = unused(spreads).map(|words| format!(" · {words}"));
    // The field that most differ in alone matters most.
    let parts = sampled.into_iter().chain(fields.next()).chain(unused).chain(fields);
    for words in parts {
        if usize::from(x) + text::width(&words) >= usize::from(pen.width()) {
            return;
        }
        x = pen.put(x, 0, &words, theme.text);
    }
}

fn made(spreads: &Spreads) -> u64 {
    spreads.left_out.saturating_add(spreads.flows as u64)
}

/// `98 % never hit`; none where that is not known.
pub fn unused(spreads: &Spreads) -> Option<String> {
    let unused = spreads.unused.filter(|_| spreads.flows > 0)?;
    Some(format!("{} never hit", format::share(unused as f64 / spreads.flows as f64)))
}

/// `udp_src alone 100 %, 1 810 values, 10.8 bits`
fn differs(of: &FieldSpread, flows: usize) -> String {
    let alone = format::share(of.alone as f64 / flows.max(1) as f64);
    let values = format::count(of.values as u64);
    format!("{} alone {alone}, {values} values, {:.1} bits", of.field.name(), of.entropy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Field;

    #[test]
    fn a_field_is_told_with_all_its_figures() {
        let field =
            FieldSpread { field: Field::UdpSrc, flows: 2000, values: 1810, entropy: 10.82, alone: 1000, in_port: None };
        assert_eq!(differs(&field, 2000), "udp_src alone 50 %, 1 810 values, 10.8 bits");
        let spreads = Spreads { flows: 2000, left_out: 0, unused: Some(1960), fields: vec![field] };
        assert_eq!(unused(&spreads).as_deref(), Some("98 % never hit"));
        assert_eq!(unused(&Spreads { unused: None, ..spreads }), None);
    }
}
