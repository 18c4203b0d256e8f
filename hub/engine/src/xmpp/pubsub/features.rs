//! The features of the specification, which of them are offered where, and the test that shows each.
//!
//! Implements: XEP-0060 1.30 §10 (the summary of features), §5.1 (what disco says of them).
//! Disco is made from this table, and so is the list in `docs/conformance.md`; a test refuses a feature whose test does
//! not exist. So a feature is announced by naming its test here, and in no other way.

/// How much the specification wants a feature (§10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum Level {
    Required,
    Recommended,
    Optional,
}

impl Level {
    /// The specification's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "REQUIRED",
            Self::Recommended => "RECOMMENDED",
            Self::Optional => "OPTIONAL",
        }
    }
}

/// Which services have a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The hub's own pubsub service.
    Service,
    /// The personal nodes of accounts (XEP-0163).
    Personal,
    /// Both.
    Everywhere,
}

impl Place {
    /// Whether what holds here holds at `other`, which is one of the two.
    pub fn includes(self, other: Self) -> bool {
        self == Self::Everywhere || self == other
    }
}

/// Whether a feature is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offer {
    /// There, and shown by the test of this name.
    Tested(Place, &'static str),
    /// Not, for this reason.
    Not(&'static str),
}

/// One feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feature {
    /// As disco says it.
    pub var: &'static str,
    /// How much the specification wants it.
    pub level: Level,
    /// Where it is described: a section of XEP-0060, or another document.
    pub section: &'static str,
    /// Whether it is there.
    pub offer: Offer,
}

impl Feature {
    /// Whether disco at `place` announces it.
    pub fn is_offered_at(&self, place: Place) -> bool {
        matches!(self.offer, Offer::Tested(there, _) if there.includes(place))
    }
}

/// A feature of the namespace, which there is.
macro_rules! yes {
    ($name:literal, $level:ident, $section:literal, $place:ident, $test:literal) => {
        Feature {
            var: concat!("http://jabber.org/protocol/pubsub", $name),
            level: Level::$level,
            section: $section,
            offer: Offer::Tested(Place::$place, $test),
        }
    };
}

/// A feature of the namespace, which there is not.
macro_rules! no {
    ($name:literal, $level:ident, $section:literal, $why:literal) => {
        Feature {
            var: concat!("http://jabber.org/protocol/pubsub", $name),
            level: Level::$level,
            section: $section,
            offer: Offer::Not($why),
        }
    };
}

/// All of §10 in its order, and what other sections add.
#[rustfmt::skip]
pub const FEATURES: &[Feature] = &[
    yes!("", Recommended, "§5.1", Everywhere, "a_node_is_described_with_owner_items_and_subscribers"),
    yes!("#access-authorize", Optional, "§4.5", Everywhere, "s8_6_an_owner_approves_and_the_subscriber_is_told_and_gets_the_last_item"),
    yes!("#access-open", Optional, "§4.5", Everywhere, "a_subscriber_hears_what_is_published_from_then_on"),
    yes!("#access-presence", Optional, "§4.5", Everywhere, "s6_1_3_2_s6_5_9_6_only_who_sees_the_owner_may_subscribe_and_read"),
    yes!("#access-roster", Optional, "§4.5", Everywhere, "s6_1_3_3_s6_5_9_7_only_who_is_in_the_group_may_subscribe_and_read"),
    yes!("#access-whitelist", Optional, "§4.5", Everywhere, "s6_1_3_4_off_the_whitelist_the_node_is_closed"),
    yes!("#auto-create", Optional, "§7.1.4", Everywhere, "the_first_publish_makes_the_node_and_its_publisher_the_owner"),
    yes!("#auto-subscribe", Recommended, "§9.1", Personal, "s9_1_s9_2_own_resources_and_contacts_hear_what_their_clients_want"),
    yes!("#config-node", Recommended, "§8.2", Everywhere, "what_is_not_in_the_form_stays"),
    yes!("#create-and-configure", Recommended, "§8.1.3", Everywhere, "s8_1_3_a_node_is_made_as_the_form_says"),
    yes!("#create-nodes", Recommended, "§8.1", Everywhere, "a_name_that_is_taken_is_a_conflict"),
    yes!("#delete-items", Recommended, "§7.2", Everywhere, "the_item_goes_and_subscribers_are_told"),
    yes!("#delete-nodes", Recommended, "§8.4", Everywhere, "the_node_goes_with_all_it_holds_and_subscribers_are_told"),
    yes!("#filtered-notifications", Recommended, "§9.2", Personal, "s9_1_s9_2_own_resources_and_contacts_hear_what_their_clients_want"),
    yes!("#get-pending", Optional, "§8.7", Service, "s8_7_the_nodes_where_somebody_waits_and_then_the_requests"),
    yes!("#instant-nodes", Recommended, "§8.1.2", Everywhere, "s8_1_2_without_a_name_the_hub_makes_one_that_cannot_be_guessed"),
    yes!("#item-ids", Recommended, "§7.1.1", Everywhere, "the_same_id_replaces_the_item_and_is_told_again"),
    yes!("#last-published", Recommended, "§6.1.7", Everywhere, "s6_1_7_the_last_item_is_sent_late_and_to_the_new_subscriber_alone"),
    yes!("#leased-subscription", Optional, "§12.19", Everywhere, "its_subscriber_is_told_before_and_at_the_end_and_the_store_forgets_it"),
    yes!("#manage-subscriptions", Optional, "§8.8", Everywhere, "the_owner_ends_one_and_its_subscriber_is_told"),
    yes!("#member-affiliation", Recommended, "§4.1", Everywhere, "the_whitelist_is_made_of_members"),
    yes!("#meta-data", Recommended, "§5.4", Everywhere, "to_disco"),
    yes!("#modify-affiliations", Optional, "§8.9", Everywhere, "s8_9_4_who_is_concerned_hears_of_a_change_and_only_of_a_change"),
    yes!("#multi-items", Optional, "§8.2", Everywhere, "the_oldest_items_go_beyond_max_items"),
    yes!("#multi-subscribe", Optional, "§6.1.6", Everywhere, "other_options_are_another_subscription_and_one_message_names_both"),
    yes!("#outcast-affiliation", Recommended, "§4.1", Everywhere, "an_outcast_loses_its_subscription_and_gets_no_other"),
    yes!("#persistent-items", Recommended, "§7.1", Everywhere, "the_item_is_kept_and_the_subscriber_hears_its_payload"),
    yes!("#presence-notifications", Optional, "§12.6", Everywhere, "s12_6_a_presence_based_node_is_heard_by_who_is_available"),
    yes!("#presence-subscribe", Recommended, "§9.1", Personal, "who_comes_to_see_the_account_is_shown_its_nodes_once_and_hears_of_them"),
    yes!("#publish", Recommended, "§7.1", Everywhere, "a_subscriber_hears_what_is_published_from_then_on"),
    yes!("#publish-options", Optional, "§7.1.5", Everywhere, "a_condition_that_the_node_meets_lets_the_item_in"),
    yes!("#publish-only-affiliation", Optional, "§4.1", Everywhere, "affiliations_say_who_may_publish"),
    yes!("#publisher-affiliation", Recommended, "§4.1", Everywhere, "affiliations_say_who_may_publish"),
    yes!("#publish-node-full", Optional, "§7.1.2.5", Everywhere, "s7_1_2_5_retract_oldest_tells_which_item_made_room"),
    yes!("#purge-nodes", Optional, "§8.5", Everywhere, "all_items_go_with_one_word"),
    yes!("#retract-items", Optional, "§7.2", Everywhere, "the_node_can_keep_silent_unless_the_asker_wants_it_told"),
    yes!("#retrieve-affiliations", Recommended, "§5.7", Everywhere, "the_makers_nodes_are_owned_and_none_is_not_listed"),
    yes!("#retrieve-default", Recommended, "§8.3", Everywhere, "s8_3_the_default_is_within_this_hubs_limits"),
    yes!("#retrieve-default-sub", Optional, "§6.4", Everywhere, "the_default_options_are_of_all_nodes_and_of_each"),
    yes!("#retrieve-items", Recommended, "§6.5", Everywhere, "all_the_newest_and_those_named"),
    yes!("#retrieve-subscriptions", Recommended, "§5.6", Everywhere, "all_of_the_account_and_this_session_come_nobody_elses_do"),
    yes!("#subscribe", Recommended, "§6.1", Everywhere, "a_subscriber_hears_what_is_published_from_then_on"),
    yes!("#subscription-options", Optional, "§6.3", Everywhere, "s6_3_7_a_subscription_is_configured_as_it_is_made_and_the_answer_says_what_holds"),
    yes!("#subscription-notifications", Optional, "§12.14", Everywhere, "the_owner_ends_one_and_its_subscriber_is_told"),
    // Named by other sections and documents.
    yes!("#config-node-max", Optional, "§16.4.4", Everywhere, "max_keeps_what_the_service_keeps"),
    yes!("#pubsub-on-a-jid", Required, "§9", Personal, "the_first_publish_makes_the_node_with_the_defaults_of_s7"),
    no!("#collections", Optional, "XEP-0248", "every named node is a leaf; the tree is made of names"),
    Feature {
        var: "http://jabber.org/protocol/rsm",
        level: Level::Optional,
        section: "§6.5.4",
        offer: Offer::Tested(Place::Everywhere, "items_by_number_by_id_and_by_page"),
    },
    Feature {
        var: "http://jabber.org/protocol/shim",
        level: Level::Optional,
        section: "§12.16",
        offer: Offer::Tested(Place::Service, "s12_16_headers_name_the_subscriptions_and_the_filter"),
    },
];

/// What disco at `place` announces.
pub fn features_at(place: Place) -> impl Iterator<Item = &'static str> {
    let there = FEATURES
        .iter()
        .filter(move |feature| feature.is_offered_at(place));
    there.map(|feature| feature.var)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn s10_each_feature_is_named_once_and_what_is_everywhere_is_at_both_places() {
        let mut seen = HashSet::new();
        for feature in FEATURES {
            assert!(seen.insert(feature.var), "{} twice", feature.var);
        }
        for place in [Place::Service, Place::Personal] {
            let rsm = features_at(place).filter(|var| *var == "http://jabber.org/protocol/rsm");
            assert_eq!(rsm.count(), 1, "{place:?}");
        }
    }
}
