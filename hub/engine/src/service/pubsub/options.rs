//! Subscription options: what a submitted form makes of them, and the use cases of XEP-0060 §6.3 and §6.4.
//!
//! Implements: XEP-0060 1.30 §6.3, §6.4, §16.4.2. Of `pubsub#subscription_type` the values `items` and `nodes`; XEP-0248's
//! `all` is two subscriptions. Not: `pubsub#expire` = `presence` (§12.5): a full address is subscribed for its session.

use std::time::Duration;

use crate::{
    address::Jid,
    command::{Field, PubsubReply},
    item::{NodeSubscription, Shows, SubscriptionDepth, SubscriptionOptions, SubscriptionType},
    message::Show,
    node::NodeId,
    refusal::{Detail, Reason, Refusal},
    service::{Decision, Directory},
    time::{Now, Timestamp},
};

use super::{Asker, Pubsub, answer, change, rights::Rights, subscribe::Place};

/// How often a digest comes that names no frequency, in milliseconds.
const DIGEST_MILLIS: u32 = 60_000;
/// The shortest and the longest time between digests, in milliseconds: below it nothing is gained, above it everything
/// waits in memory for more than a day.
const DIGEST_MILLIS_MIN: u32 = 1_000;
const DIGEST_MILLIS_MAX: u32 = 86_400_000;
/// The longest lease; what asks for more gets this (§12.19).
const LEASE_MAX: Duration = Duration::from_secs(366 * 86_400);

impl Pubsub {
    /// §6.3.2
    pub(super) fn get_options(
        &self,
        who: &Asker,
        id: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
    ) -> Result<Decision, Refusal> {
        let (place, subscription) = self.meant(who, &id, &jid, subid.as_deref())?;
        Ok(answer(PubsubReply::Options {
            options: Box::new(place.seen(&id, &subscription)),
            node: id,
            jid,
            subid,
        }))
    }

    /// §6.3.5
    pub(super) fn set_options(
        &mut self,
        who: &Asker,
        id: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
        fields: &[Field],
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let (place, subscription) = self.meant(who, &id, &jid, subid.as_deref())?;
        let mut options = place.seen(&id, &subscription);
        apply(&mut options, fields, self.now)?;
        let moved = Place::of(&who.at(id), &options)?;
        let mut changed = NodeSubscription {
            options: stored(moved.kept(options)),
            ..subscription.clone()
        };
        if changed == subscription && moved == place {
            // Nothing to store; a cancelled form comes here too.
            return Ok(Decision::Answer(crate::command::Reply::Done));
        }
        let mut done = change(Vec::new());
        if moved == place {
            self.put(&place, changed, &mut done);
            return Ok(Decision::Change(Box::new(done)));
        }
        // Another type or depth is another place in the tree: the right to it is asked anew, and perhaps an owner.
        changed.state = self.admission(who, &moved, &*directory)?;
        self.room_at(self.subscriptions_at(&moved, &jid).len())?;
        self.leave(&place, &subscription, &mut done);
        self.enter(&moved, changed, directory, &mut done);
        Ok(Decision::Change(Box::new(done)))
    }

    /// §6.4: of a node, or of all.
    pub(super) fn default_options(
        &self,
        who: &Asker,
        id: Option<NodeId>,
    ) -> Result<Decision, Refusal> {
        if let Some(id) = &id
            && !who.at(id.clone()).is_filter()
        {
            Rights::new(&self.rules, who).may_know(id)?;
            self.existing(who, id)?;
        }
        Ok(answer(PubsubReply::DefaultOptions { node: id }))
    }
}

/// The options of a subscription, as its subscriber knows them.
pub(super) fn options_of(subscription: &NodeSubscription) -> SubscriptionOptions {
    subscription.options.as_deref().cloned().unwrap_or_default()
}

/// As they are kept: nothing, if they are the defaults.
pub(super) fn stored(options: SubscriptionOptions) -> Option<Box<SubscriptionOptions>> {
    (options != SubscriptionOptions::default()).then(|| Box::new(options))
}

/// Whether two differ in nothing but how long the lease runs: then the second is the first one's renewal.
pub(super) fn are_same(one: &SubscriptionOptions, other: &SubscriptionOptions) -> bool {
    let timeless = |options: &SubscriptionOptions| SubscriptionOptions {
        expire: None,
        ..options.clone()
    };
    timeless(one) == timeless(other)
}

/// Applies a submitted form; fields that are absent keep their value. What is wrong is refused as §6.3.6.2 says.
pub(super) fn apply(
    options: &mut SubscriptionOptions,
    fields: &[Field],
    now: Now,
) -> Result<(), Refusal> {
    let (mut digest, mut frequency) = (options.digest_millis.is_some(), options.digest_millis);
    for field in fields {
        let value = Value { field };
        let Some(name) = field.var.strip_prefix("pubsub#") else {
            // Forms may carry fields of other documents (XEP-0068 §3.4): they change nothing.
            continue;
        };
        match name {
            "deliver" => options.deliver = value.boolean()?,
            "digest" => digest = value.boolean()?,
            "digest_frequency" => frequency = frequency_of(value)?,
            "expire" => options.expire = lease(value, now)?,
            "include_body" => options.include_body = value.boolean()?,
            "show-values" => options.shows = shows(value)?,
            "subscription_type" => {
                options.kind = match value.one()? {
                    "items" => SubscriptionType::Items,
                    "nodes" => SubscriptionType::Nodes,
                    _ => return Err(value.wrong()),
                }
            }
            "subscription_depth" => {
                options.depth = match value.one()? {
                    "1" => SubscriptionDepth::One,
                    "all" => SubscriptionDepth::All,
                    _ => return Err(value.wrong()),
                }
            }
            _ => return Err(value.invalid("is no option of a subscription here")),
        }
    }
    options.digest_millis = digest.then(|| frequency.unwrap_or(DIGEST_MILLIS));
    Ok(())
}

fn frequency_of(value: Value<'_>) -> Result<Option<u32>, Refusal> {
    if value.one()?.is_empty() {
        return Ok(None);
    }
    let millis = value.one()?.parse().map_err(|_| value.wrong())?;
    if (DIGEST_MILLIS_MIN..=DIGEST_MILLIS_MAX).contains(&millis) {
        Ok(Some(millis))
    } else {
        Err(value.wrong())
    }
}

/// §12.19: a lease ends in the time to come, and not later than the longest lease does.
fn lease(value: Value<'_>, now: Now) -> Result<Option<Timestamp>, Refusal> {
    let text = value.one()?;
    if text.is_empty() {
        return Ok(None);
    }
    let ends = Timestamp::parse(text).ok_or_else(|| value.wrong())?;
    if !now.wall_trusted {
        // Without a clock nobody can say how long that is.
        return Ok(Some(ends));
    }
    if ends <= now.wall {
        return Err(value.invalid("is over already"));
    }
    Ok(Some(ends.min(now.wall + LEASE_MAX)))
}

/// No value at all: whatever is shown.
fn shows(value: Value<'_>) -> Result<Option<Shows>, Refusal> {
    if value.field.values.iter().all(|value| value.is_empty()) {
        return Ok(None);
    }
    let show = |text: &str| match text {
        "online" => Ok(Show::Online),
        "away" => Ok(Show::Away),
        "chat" => Ok(Show::Chat),
        "dnd" => Ok(Show::Dnd),
        "xa" => Ok(Show::Xa),
        _ => Err(value.wrong()),
    };
    let shows: Result<Shows, Refusal> = value.field.values.iter().map(|text| show(text)).collect();
    shows.map(Some)
}

/// The value of a field, and the refusals that name it.
#[derive(Clone, Copy)]
struct Value<'a> {
    field: &'a Field,
}

impl<'a> Value<'a> {
    fn invalid(self, what: &str) -> Refusal {
        Refusal::new(Reason::BadRequest)
            .because(Detail::InvalidOptions)
            .say(format!("{} {what}", self.field.var))
    }

    fn wrong(self) -> Refusal {
        self.invalid("cannot have this value")
    }

    fn one(self) -> Result<&'a str, Refusal> {
        match self.field.values.as_slice() {
            [] => Ok(""),
            [value] => Ok(value),
            _ => Err(self.wrong()),
        }
    }

    /// XEP-0004 §3.3: the lexical forms of XML Schema.
    fn boolean(self) -> Result<bool, Refusal> {
        match self.one()? {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(self.wrong()),
        }
    }
}
