//! Data forms: reading what is submitted, writing what is shown.
//!
//! Implements: XEP-0004 2.13 §3.1 (types), §3.2, §3.3 (fields); XEP-0068 §3 (FORM_TYPE). Not: multiple items (§3.4).

use crate::{
    command::Field,
    refusal::{Reason, Refusal},
    xmpp::{
        namespace as ns,
        xml::{Element, Writer},
    },
};

/// A form as a peer sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The asker thought better of it (§3.1 `cancel`); then there are no fields.
    pub cancelled: bool,
    /// FORM_TYPE, if the form names one.
    pub form_type: Option<Box<str>>,
    /// All other fields.
    pub fields: Vec<Field>,
}

impl Submitted {
    /// Reads an `<x xmlns='jabber:x:data'/>`.
    pub fn read(form: Element<'_>) -> Result<Self, Refusal> {
        let bad = || Refusal::new(Reason::BadRequest);
        // §3.1: what an asker sends back is a submission or a cancellation.
        let cancelled = match form.attr("type") {
            Some("submit") => false,
            Some("cancel") => true,
            _ => return Err(bad().say("the form is not submitted")),
        };
        let mut submitted = Self {
            cancelled,
            form_type: None,
            fields: Vec::new(),
        };
        if cancelled {
            return Ok(submitted);
        }
        for field in form
            .children()
            .filter(|child| child.is("field", ns::DATA_FORM))
        {
            let values = field
                .children()
                .filter(|child| child.is("value", ns::DATA_FORM))
                .map(|value| Box::from(value.text().as_ref()))
                .collect::<Vec<Box<str>>>();
            match field.attr("var") {
                Some("FORM_TYPE") => submitted.form_type = values.into_iter().next(),
                Some(var) => submitted.fields.push(Field {
                    var: var.into(),
                    values,
                }),
                // §3.2: only a field of type `fixed` needs no name, and it says nothing.
                None if field.attr("type") == Some("fixed") => {}
                None => return Err(bad().say("a field of the form has no name")),
            }
        }
        Ok(submitted)
    }

    /// The fields, if the form is of this type or of none.
    pub fn fields_of(self, form_type: &str) -> Result<Vec<Field>, Refusal> {
        match &self.form_type {
            Some(other) if &**other != form_type => {
                Err(Refusal::new(Reason::BadRequest).say("the form is of another type"))
            }
            _ => Ok(self.fields),
        }
    }
}

/// Whether a form is to be filled in or only to be read (§3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be filled in: labels, types and options are written.
    Form,
    /// To be read, or compared with another: names and values only, and types where XEP-0128 §3 wants them.
    Result,
}

/// Writes one form.
#[derive(Debug)]
pub struct FormWriter<'w, 'b> {
    w: &'w mut Writer<'b>,
    purpose: Purpose,
}

impl<'w, 'b> FormWriter<'w, 'b> {
    /// Begins a form.
    pub fn begin(w: &'w mut Writer<'b>, purpose: Purpose, form_type: &str) -> Self {
        let name = match purpose {
            Purpose::Form => "form",
            Purpose::Result => "result",
        };
        w.open("x").attr("xmlns", ns::DATA_FORM).attr("type", name);
        let mut form = Self { w, purpose };
        form.field("FORM_TYPE", "hidden", None, [form_type]);
        form
    }

    /// A field of any type; `label` is shown in a form that is to be filled in.
    pub fn field<'v>(
        &mut self,
        var: &str,
        kind: &str,
        label: Option<&str>,
        values: impl IntoIterator<Item = &'v str>,
    ) -> &mut Self {
        self.open(var, kind, label);
        for value in values {
            self.w.element("value", value);
        }
        self.w.close("field");
        self
    }

    /// A choice of one; each option is a value and its label. What is chosen is an option even if it is not among them.
    pub fn choice(
        &mut self,
        var: &str,
        label: &str,
        value: &str,
        options: &[(&str, &str)],
    ) -> &mut Self {
        self.open(var, "list-single", Some(label));
        if self.purpose == Purpose::Form {
            for (option, label) in options {
                self.option(option, Some(label));
            }
            if !options.iter().any(|(option, _)| *option == value) {
                self.option(value, None);
            }
        }
        self.w.element("value", value).close("field");
        self
    }

    /// A choice among `options`, each a value and its label, of which one or none (`list-single`) or any number (`list-multi`)
    /// are chosen.
    pub fn select(
        &mut self,
        var: &str,
        kind: &str,
        label: &str,
        values: &[&str],
        options: &[(&str, &str)],
    ) -> &mut Self {
        self.open(var, kind, Some(label));
        if self.purpose == Purpose::Form {
            for (option, label) in options {
                self.option(option, Some(label));
            }
        }
        for value in values {
            self.w.element("value", value);
        }
        self.w.close("field");
        self
    }

    /// A choice of several, of which only those are known that are chosen.
    pub fn choices(&mut self, var: &str, label: &str, values: &[Box<str>]) -> &mut Self {
        self.open(var, "list-multi", Some(label));
        if self.purpose == Purpose::Form {
            for value in values {
                self.option(value, None);
            }
        }
        for value in values {
            self.w.element("value", value);
        }
        self.w.close("field");
        self
    }

    /// A list of values that are not known beforehand (XEP-0122 §3.2.2).
    pub fn open_list(&mut self, var: &str, label: &str) -> &mut Self {
        self.open(var, "list-multi", Some(label));
        self.w.open("validate").attr("xmlns", ns::DATA_VALIDATE);
        self.w.attr("datatype", "xs:string");
        self.w.open("open").close("open").close("validate");
        self.w.close("field");
        self
    }

    fn option(&mut self, value: &str, label: Option<&str>) {
        self.w.open("option").attr_opt("label", label);
        self.w.element("value", value).close("option");
    }

    /// A yes or no.
    pub fn boolean(&mut self, var: &str, label: &str, value: bool) -> &mut Self {
        self.field(var, "boolean", Some(label), [if value { "1" } else { "0" }])
    }

    /// Ends the form.
    pub fn end(self) {
        self.w.close("x");
    }

    fn open(&mut self, var: &str, kind: &str, label: Option<&str>) {
        self.w.open("field").attr("var", var).attr("type", kind);
        if self.purpose == Purpose::Form {
            self.w.attr_opt("label", label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn read(form: &str) -> Result<Submitted, Refusal> {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        Submitted::read(tree.parse(form.as_bytes(), &scope).unwrap())
    }

    #[test]
    fn s3_a_submitted_form_is_its_type_and_its_fields() {
        let form = read(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:f</value></field>\
             <field var='a'><value>1</value><value>2</value></field><field var='b'/><field type='fixed'/></x>",
        )
        .unwrap();
        assert_eq!(form.form_type.as_deref(), Some("urn:f"));
        let fields = form.fields_of("urn:f").unwrap();
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[0].values, ["1".into(), "2".into()]);
        assert!(fields[1].values.is_empty());
    }

    #[test]
    fn s3_1_a_cancelled_form_has_no_fields_and_a_form_to_fill_in_is_no_answer() {
        let form = read("<x xmlns='jabber:x:data' type='cancel'><field var='a'/></x>").unwrap();
        assert!(form.cancelled && form.fields.is_empty());
        let refusal = read("<x xmlns='jabber:x:data' type='form'/>").unwrap_err();
        assert_eq!(refusal.reason, Reason::BadRequest);
    }

    #[test]
    fn a_form_of_another_type_is_refused() {
        let form = read(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:f</value></field></x>",
        )
        .unwrap();
        assert_eq!(
            form.fields_of("urn:g").unwrap_err().reason,
            Reason::BadRequest
        );
    }
}
