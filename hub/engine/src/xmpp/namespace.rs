//! Namespace names, grouped by the document that defines them.
//!
//! Implements: the registry entries of the documents named below; no behaviour.

// --- XML and Namespaces in XML 1.0 ---

/// What the prefix `xml` always means.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// What the prefix `xmlns` always means.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

// --- RFC 6120: core ---

/// The stream root and its features and errors.
pub const STREAMS: &str = "http://etherx.jabber.org/streams";
/// Content of client-to-server streams.
pub const CLIENT: &str = "jabber:client";
/// Content of external components' streams (XEP-0114).
pub const COMPONENT: &str = "jabber:component:accept";
/// Content of server-to-server streams.
pub const SERVER: &str = "jabber:server";
/// STARTTLS negotiation (§5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL negotiation (§6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Resource binding (§7).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Defined stream error conditions (§4.9).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Defined stanza error conditions (§8.3).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Application-specific error conditions.
pub const APPLICATION_ERRORS: &str = "urn:xmpp:errors";

// --- RFC 3921 and 6121: instant messaging and presence ---

/// The session request of RFC 3921, kept for old clients.
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// Roster management (RFC 6121 §2).
pub const ROSTER: &str = "jabber:iq:roster";
/// Stream feature: roster versioning (RFC 6121 §2.6).
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
/// Stream feature: subscription pre-approval (RFC 6121 §3.4).
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";

// --- XEP-0004: data forms ---

/// Data forms.
pub const DATA_FORM: &str = "jabber:x:data";

// --- XEP-0012: last activity ---

/// Last activity and last seen.
pub const LAST: &str = "jabber:iq:last";

// --- XEP-0030: service discovery ---

/// Identities and features of an entity.
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Items that belong to an entity.
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";

// --- XEP-0033: extended stanza addressing ---

/// Further addresses of a stanza.
pub const ADDRESS: &str = "http://jabber.org/protocol/address";

// --- XEP-0049: private XML storage ---

/// Private XML storage.
pub const PRIVATE: &str = "jabber:iq:private";

// --- XEP-0050: ad-hoc commands ---

/// Commands, and the node under which disco lists them.
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";

// --- XEP-0054: vcard-temp ---

/// vCards.
pub const VCARD: &str = "vcard-temp";

// --- XEP-0059: result set management ---

/// Paging through results.
pub const RSM: &str = "http://jabber.org/protocol/rsm";

// --- XEP-0060: publish-subscribe ---

/// What subscribers and publishers ask.
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Notifications.
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// What owners ask.
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// Pubsub's own error conditions.
pub const PUBSUB_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
/// FORM_TYPE of node configuration.
pub const PUBSUB_NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// FORM_TYPE of node meta-data.
pub const PUBSUB_META_DATA: &str = "http://jabber.org/protocol/pubsub#meta-data";
/// FORM_TYPE of publishing options.
pub const PUBSUB_PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// FORM_TYPE of subscription options.
pub const PUBSUB_SUBSCRIBE_OPTIONS: &str = "http://jabber.org/protocol/pubsub#subscribe_options";
/// FORM_TYPE of a request to authorise a subscription.
pub const PUBSUB_SUBSCRIBE_AUTHORIZATION: &str =
    "http://jabber.org/protocol/pubsub#subscribe_authorization";

// --- XEP-0077: in-band registration ---

/// Registration, password change, account removal.
pub const REGISTER: &str = "jabber:iq:register";
/// Stream feature: registration is open.
pub const REGISTER_FEATURE: &str = "http://jabber.org/features/iq-register";

// --- XEP-0092: software version ---

/// Software version.
pub const VERSION: &str = "jabber:iq:version";

// --- XEP-0115: entity capabilities ---

/// Entity capabilities in presence.
pub const CAPS: &str = "http://jabber.org/protocol/caps";

// --- XEP-0131: stanza headers ---

/// Stanza headers, used for subscription identifiers and collections.
pub const SHIM: &str = "http://jabber.org/protocol/shim";

// --- XEP-0160: offline messages ---

/// Disco feature: messages are kept for absent users.
pub const MSG_OFFLINE: &str = "msgoffline";

// --- XEP-0157: contact addresses ---

/// FORM_TYPE of whom to write to about the service.
pub const SERVER_INFO: &str = "http://jabber.org/network/serverinfo";

// --- XEP-0191: blocking command ---

/// Block lists.
pub const BLOCKING: &str = "urn:xmpp:blocking";
/// The condition of a stanza to somebody whom its sender has blocked.
pub const BLOCKING_ERRORS: &str = "urn:xmpp:blocking:errors";

// --- XEP-0198: stream management ---

/// Acknowledgement and resumption.
pub const SM: &str = "urn:xmpp:sm:3";

// --- XEP-0199: ping ---

/// Ping.
pub const PING: &str = "urn:xmpp:ping";

// --- XEP-0202: entity time ---

/// Entity time.
pub const TIME: &str = "urn:xmpp:time";

// --- XEP-0203: delayed delivery ---

/// When and where a stanza was held back.
pub const DELAY: &str = "urn:xmpp:delay";

// --- XEP-0280: message carbons ---

/// Copies for an account's other resources.
pub const CARBONS: &str = "urn:xmpp:carbons:2";

// --- XEP-0297: stanza forwarding ---

/// A stanza inside another.
pub const FORWARD: &str = "urn:xmpp:forward:0";

// --- XEP-0313: message archives ---

/// Queries of archives; FORM_TYPE of their filters.
pub const MAM: &str = "urn:xmpp:mam:2";
/// Disco feature: filters by id, flipped pages, meta-data.
pub const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended";

// --- XEP-0334: message processing hints ---

/// Hints on storing and copying a message.
pub const HINTS: &str = "urn:xmpp:hints";

// --- XEP-0413: order-by ---

/// The order of a list of items.
pub const ORDER_BY: &str = "urn:xmpp:order-by:1";

// --- XEP-0122: data forms validation ---

/// What values a field takes.
pub const DATA_VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";

// --- XEP-0440: channel-binding types ---

/// Which channel-binding types the server supports.
pub const SASL_CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";
