//! The order of a list of items.
//!
//! Implements: XEP-0413 0.2.1 §4.1, §4.2, §4.4, §5, §7. Of several levels the first decides: no two items are equal by either
//! field, as the order is that of the node and not that of a clock.

use crate::{
    item::{Order, OrderBy},
    refusal::{Reason, Refusal},
    xmpp::{namespace as ns, xml::Element},
};

/// The order that a request asks for among the children of `holder`.
pub fn read_order(holder: Element<'_>) -> Result<Option<Order>, Refusal> {
    let mut first = None;
    for order in holder
        .children()
        .filter(|child| child.is("order", ns::ORDER_BY))
    {
        let by = match order.attr("by") {
            Some("creation") => OrderBy::Creation,
            Some("modification") => OrderBy::Modification,
            // §4.6: others come with documents of their own.
            Some(_) => {
                return Err(Refusal::new(Reason::FeatureNotImplemented)
                    .say("the orders here are creation and modification"));
            }
            None => return Err(Refusal::new(Reason::BadRequest).say("an order is by something")),
        };
        let descending = match order.attr("desc") {
            Some("true" | "1") => true,
            None | Some("false" | "0") => false,
            Some(_) => return Err(Refusal::new(Reason::BadRequest).say("desc is true or false")),
        };
        first.get_or_insert(Order { by, descending });
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn read(order: &str) -> Result<Option<Order>, Reason> {
        let whole = format!("<pubsub xmlns:o='urn:xmpp:order-by:1'>{order}</pubsub>");
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let read = read_order(tree.parse(whole.as_bytes(), &scope).unwrap());
        read.map_err(|refusal| refusal.reason)
    }

    #[test]
    fn s4_the_field_and_the_direction_are_read_and_the_first_level_decides() {
        assert_eq!(read(""), Ok(None));
        let order = |by, descending| Ok(Some(Order { by, descending }));
        assert_eq!(
            read("<o:order by='creation'/>"),
            order(OrderBy::Creation, false)
        );
        assert_eq!(
            read("<o:order by='modification' desc='1'/><o:order by='creation'/>"),
            order(OrderBy::Modification, true)
        );
    }

    #[test]
    fn s4_6_an_order_of_another_document_and_none_at_all_are_refused() {
        assert_eq!(
            read("<o:order by='{urn:x}size'/>"),
            Err(Reason::FeatureNotImplemented)
        );
        assert_eq!(read("<o:order/>"), Err(Reason::BadRequest));
        assert_eq!(
            read("<o:order by='creation' desc='maybe'/>"),
            Err(Reason::BadRequest)
        );
        // A second level is checked, though it decides nothing.
        let second = "<o:order by='creation'/><o:order by='taste'/>";
        assert_eq!(read(second), Err(Reason::FeatureNotImplemented));
    }
}
