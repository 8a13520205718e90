//! What tests and demonstrations need on the host, and nothing that runs in the kernel.
//!
//! - [`oracle`]: slow and obviously right models of every limit and quota, of prices and bills, and of the whole;
//! - [`calendar`]: civil time and periods of the calendar, by counting days;
//! - [`logs`]: a reader of access logs and traces that shares no code with the product's;
//! - [`replay`]: the two together: what a replay of a log has to answer, request by request;
//! - [`billed`]: the same with quotas, budgets and prices, and invoices in the end;
//! - [`scenario`]: seeded random limits and requests, biased towards the edges;
//! - [`months`]: seeded months of usage for quotas, budgets and bills, biased alike;
//! - [`overload`]: more work than a server can do, and simple schedulers to compare with;
//! - [`policies`]: seeded policies, requests and changes;
//! - [`prometheus`]: a strict reader of the text format in which figures are handed out;
//! - [`demo`]: the generator of the demonstration log;
//! - [`random`]: the seeded numbers behind the last three.
//!
//! A model is of use only while it is independent. Nothing here may call into the engine or copy from it.
#![forbid(unsafe_code)]

pub mod billed;
pub mod calendar;
pub mod demo;
pub mod logs;
pub mod months;
pub mod oracle;
pub mod overload;
pub mod policies;
pub mod prometheus;
pub mod random;
pub mod replay;
pub mod scenario;
