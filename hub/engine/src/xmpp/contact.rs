//! Whom to write to about the service.
//!
//! Implements: XEP-0157 1.1.1 §3, §7.1; XEP-0128 1.0.1 §3.

use crate::xmpp::{
    data_form::{FormWriter, Purpose},
    namespace as ns,
    xml::Writer,
};

/// For what somebody may be written to, by the word of the configuration; the field is this word and `-addresses`.
pub const PURPOSES: [&str; 7] = [
    "abuse", "admin", "feedback", "sales", "security", "status", "support",
];

/// Addresses as URIs, in the order of [`PURPOSES`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contacts(pub [Vec<String>; PURPOSES.len()]);

impl Contacts {
    /// The addresses for a purpose.
    pub fn of(&self, purpose: &str) -> &[String] {
        let at = PURPOSES.iter().position(|known| *known == purpose);
        at.map_or(&[], |at| &self.0[at])
    }

    /// Sets them.
    pub fn set(&mut self, purpose: &str, uris: Vec<String>) {
        if let Some(at) = PURPOSES.iter().position(|known| *known == purpose) {
            self.0[at] = uris;
        }
    }

    /// Writes the form, unless there is nobody.
    pub fn write(&self, w: &mut Writer<'_>) {
        if self.0.iter().all(Vec::is_empty) {
            return;
        }
        let mut form = FormWriter::begin(w, Purpose::Result, ns::SERVER_INFO);
        for (purpose, uris) in PURPOSES.iter().zip(&self.0) {
            if !uris.is_empty() {
                let field = format!("{purpose}-addresses");
                form.field(&field, "list-multi", None, uris.iter().map(String::as_str));
            }
        }
        form.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(contacts: &Contacts) -> String {
        let mut out = Vec::new();
        contacts.write(&mut Writer::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn s3_the_form_names_who_there_is() {
        let mut contacts = Contacts::default();
        assert_eq!(written(&contacts), "");
        contacts.set(
            "abuse",
            vec![
                "mailto:abuse@shakespeare.lit".into(),
                "xmpp:abuse@shakespeare.lit".into(),
            ],
        );
        contacts.set("status", vec!["https://status.shakespeare.lit".into()]);
        contacts.set("nonsense", vec!["x:y".into()]);
        let form = written(&contacts);
        for part in [
            "<x xmlns='jabber:x:data' type='result'>",
            "<value>http://jabber.org/network/serverinfo</value>",
            "var='abuse-addresses'",
            "<value>mailto:abuse@shakespeare.lit</value><value>xmpp:abuse@shakespeare.lit</value>",
            "var='status-addresses'",
        ] {
            assert!(form.contains(part), "{part} in {form}");
        }
        assert!(
            !form.contains("admin-addresses") && !form.contains("x:y"),
            "{form}"
        );
    }
}
