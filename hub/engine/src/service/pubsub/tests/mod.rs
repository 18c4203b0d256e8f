//! The use cases of XEP-0060 and the rules of semantics.md, through the service and a store of one page.

mod alarms;
mod audience;
mod batches;
mod history;
mod hostile;
mod latest;
mod leavers;
mod personal;
mod rules;
mod s12_19_leases;
mod s16_4_4_config;
mod s4_5_access;
mod s5_entity;
mod s6_options;
mod s6_subscriber;
mod s7_publisher;
mod s8_approval;
mod s8_owner;
mod world;
