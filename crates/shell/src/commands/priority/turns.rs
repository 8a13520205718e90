//! Requests that wait: how they get there, when it is their turn, and when they are let go.

use super::{service, unknown};
use crate::command::Invocation;
use crate::commands::notices::NoticeMarks;
use crate::commands::request::{Room, answer, read, settlement};
use crate::commands::{Context, Count, Failed, Outcome};
use crate::engine::Governor;
use crate::render::Humanized;
use crate::system::System;
use crate::term::{Printable, Style, Term};
use core::fmt;
use governance::decision::Verdict;
use governance::export::ObjectWriter;
use governance::governor::{Dispatched, WaitingError};
use governance::priority::{Lane, PriorityError, QueueId, RejectReason, Rejections};
use governance::request::{Request, RequestPriority};
use governance::tickets::Ticket;
use governance::time::{Instant, Nanos};

/// Decides a request, and lets it wait.
pub(in crate::commands) fn enqueue(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let mut room = Room::default();
    let mut request = read(context, invocation, &mut room)?;
    request.settlement = settlement(context, invocation)?;
    let Some(service) = request.service else {
        return Err(context.fail(format_args!("service: missing; expected one that has a queue")));
    };
    let lane = if invocation.flag("exempt") { Lane::Exempt } else { Lane::Shared };
    let now = context.system.now();
    let marks = NoticeMarks::of(&context.engine.live);
    let let_go = LetGo::by(&context.engine.live, now.instant, &request);
    let decision = match context.engine.live.enqueue(now, &request, lane) {
        Ok(decision) => decision,
        Err(PriorityError::UnknownQueue) => return Err(unknown(context, service.as_str())),
        Err(error) => return Err(context.fail(format_args!("{error}"))),
    };
    let is_json = invocation.flag("json");
    if !is_json && lane == Lane::Exempt && decision.verdict == Verdict::Allow {
        let allow = context.term.paint(Style::Good, "allow");
        return context
            .say(format_args!("{allow}   exempt: no place is left to wait in, and it goes on at once"));
    }
    answer(context, invocation, now, (&request, &decision))?;
    if !decision.is_allowed() {
        // It says by itself what was refused.
        return Ok(());
    }
    let_go.tell(context, is_json)?;
    marks.tell(context, is_json)
}

/// Takes the next request of a queue into service.
pub(in crate::commands) fn dequeue(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (queue, sla) = service(context, invocation)?;
    let shown = Printable(sla.service_id.as_str());
    let now = context.system.now();
    let marks = NoticeMarks::of(&context.engine.live);
    let let_go = LetGo::of(&context.engine.live, now.instant, queue);
    let next = context.engine.live.dequeue_next(now, queue);
    let is_json = invocation.flag("json");
    let metrics = context.engine.live.queues.get_queue_stats(now.instant, queue);
    let (waiting, in_service) = metrics.map_or((0, 0), |metrics| (metrics.waiting, metrics.in_service));
    let_go.tell(context, is_json)?;
    match next {
        Some(next) => write_next(context.system, context.term, &next, now.instant, is_json)?,
        None if is_json => {
            let reason = if waiting == 0 { "empty" } else { "busy" };
            ObjectWriter::begin(context.system)?
                .null("ticket")?
                .string("reason", reason)?
                .integer("waiting", waiting.into())?
                .integer("in_service", in_service.into())?
                .end()?;
        }
        None if waiting == 0 => context.say(format_args!("nothing waits for {shown}"))?,
        None => context.say(format_args!(
            "{shown} is busy: {in_service} of {} in service, {waiting} waiting",
            sla.concurrency
        ))?,
    }
    marks.tell(context, is_json)
}

/// Takes a request out of its queue.
pub(in crate::commands) fn preempt(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let ticket = read_ticket(context, invocation)?;
    let now = context.system.now();
    let preempted = context.engine.live.preempt_request(now, ticket);
    preempted.map_err(|error| refuse(context, ticket, error))?;
    context.say(format_args!("preempted {ticket}"))
}

/// Moves a request to another class.
pub(in crate::commands) fn requeue(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let ticket = read_ticket(context, invocation)?;
    // The table lets no other word pass.
    let class = invocation.get("class").and_then(RequestPriority::from_word).unwrap_or_default();
    let now = context.system.now();
    let requeued = context.engine.live.requeue_request(now, ticket, class);
    requeued.map_err(|error| refuse(context, ticket, error))?;
    context.say(format_args!("requeued {ticket}: class {class}"))
}

/// Lets go of all that wait in a queue.
pub(in crate::commands) fn drain(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    let (queue, sla) = service(context, invocation)?;
    let now = context.system.now();
    let count = context.engine.live.drain_queue(now, queue);
    let shown = Printable(sla.service_id.as_str());
    context.say(format_args!("drained {shown}: {}", Count(count, "request")))
}

/// Takes requests of a queue into service as long as it is free for them, and tells each in a line.
pub(in crate::commands) fn fill(context: &mut Context<'_>, queue: QueueId, is_json: bool) -> Outcome {
    let now = context.system.now();
    let let_go = LetGo::of(&context.engine.live, now.instant, queue);
    while let Some(next) = context.engine.live.dequeue_next(now, queue) {
        write_next(context.system, context.term, &next, now.instant, is_json)?;
    }
    let_go.tell(context, is_json)
}

/// How many requests a queue had let go by itself, so that those are told that it lets go.
pub(in crate::commands) struct LetGo(Option<(QueueId, Rejections)>);

impl LetGo {
    fn of(governor: &Governor, now: Instant, queue: QueueId) -> Self {
        Self(governor.queues.get_queue_stats(now, queue).map(|metrics| (queue, metrics.rejected)))
    }

    /// Of the queue that a request may go to.
    pub(in crate::commands) fn by(governor: &Governor, now: Instant, request: &Request<'_>) -> Self {
        governor.queue_of(request).map_or(Self(None), |queue| Self::of(governor, now, queue))
    }

    /// Tells how many of those that waited were let go since, and why.
    pub(in crate::commands) fn tell(&self, context: &mut Context<'_>, is_json: bool) -> Outcome {
        let Some((queue, before)) = self.0 else { return Ok(()) };
        let now = context.system.now();
        let queues = &context.engine.live.queues;
        let Some(metrics) = queues.get_queue_stats(now.instant, queue) else { return Ok(()) };
        let service = queues.get_sla(queue).map(|sla| sla.service_id).unwrap_or_default();
        for (reason, word, why) in [
            (RejectReason::Infeasible, "late", "too late to be done by the deadline"),
            (RejectReason::Shed, "shed", "to make room"),
        ] {
            let count = metrics.rejected.of(reason) - before.of(reason);
            if count == 0 {
                continue;
            }
            if is_json {
                ObjectWriter::begin(context.system)?
                    .string("service", service.as_str())?
                    .integer("let_go", count)?
                    .string("reason", reason.code())?
                    .end()?;
            } else {
                let word = context.term.paint(Style::Warn, word);
                let requests = Count(usize::try_from(count).unwrap_or(usize::MAX), "waiting request");
                context.say(format_args!("{word}   {requests} let go, {why}"))?;
            }
        }
        Ok(())
    }
}

/// The class of a request whose turn it is, or that it has none.
const fn class_of(next: &Dispatched) -> &'static str {
    match next.lane {
        Lane::Shared => next.priority.word(),
        Lane::Exempt => "exempt",
    }
}

/// Tells a request whose turn it is.
fn write_next(
    system: &mut dyn System,
    term: Term,
    next: &Dispatched,
    now: Instant,
    is_json: bool,
) -> fmt::Result {
    let left = next.deadline.since(now);
    if is_json {
        return ObjectWriter::begin(system)?
            .display("ticket", next.ticket)?
            .string("class", class_of(next))?
            .integer("waited_ns", next.waited.0)?
            .integer("deadline_in_ns", left.0)?
            .end();
    }
    write!(
        system,
        "{}   ticket {}   class {}   waited {}",
        term.paint(Style::Good, "next"),
        term.paint(Style::Name, next.ticket),
        class_of(next),
        Humanized(next.waited),
    )?;
    match left {
        Nanos::ZERO => writeln!(system, "   past its deadline"),
        left => writeln!(system, "   deadline in {}", Humanized(left)),
    }
}

fn read_ticket(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Result<Ticket, Failed> {
    let ticket = invocation.positional(0).unwrap_or_default().parse::<Ticket>();
    ticket.map_err(|error| context.fail(format_args!("ticket: {error}")))
}

fn refuse(context: &mut Context<'_>, ticket: Ticket, error: WaitingError) -> Failed {
    context.fail(format_args!("ticket {ticket}: {error}"))
}
