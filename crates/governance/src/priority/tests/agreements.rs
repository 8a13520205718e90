//! Whether agreements are kept, and who hears of it.

use super::support::{MS, nothing, request, with};
use crate::priority::{Crossing, HISTOGRAMS_MAX, Lane, QueuedRequest, RejectReason, ServiceReport, SlaKind};
use crate::rate_limiter::Access;
use crate::request::RequestPriority::{self, Normal};
use crate::time::Instant;

#[test]
fn a_broken_agreement_is_told_once_and_so_is_that_it_is_kept_again() {
    let (mut scheduler, queue) = with::<4>(1, 8);
    let mut now = 0;
    let mut serve = |scheduler: &mut crate::priority::PriorityScheduler<4>, service_us, is_error, count| {
        for id in 0..count {
            now += MS;
            let request = QueuedRequest { arrival_time: Instant(now), ..request(id, Normal) };
            let ticket = scheduler.start_request(Instant(now), queue, &request).unwrap();
            let report = ServiceReport { service_us: Some(service_us), is_error };
            scheduler.complete_request(Instant(now), ticket, &report).unwrap();
        }
    };
    serve(&mut scheduler, 100_000, false, 19);
    // The latency itself is in time.
    serve(&mut scheduler, 100_000, true, 1);
    let notices: Vec<_> = scheduler.sla_notices().since(0).copied().collect();
    assert_eq!((notices.len(), notices[0].kind, notices[0].crossing), (1, SlaKind::Errors, Crossing::Breach));
    assert_eq!((notices[0].measured_ppm, notices[0].threshold_ppm), (50_000, 10_000));
    assert_eq!(notices[0].service.as_str(), "web");
    serve(&mut scheduler, 100_001, false, 40);
    serve(&mut scheduler, 1, false, 1000);
    let notices: Vec<_> =
        scheduler.sla_notices().since(1).map(|notice| (notice.kind, notice.crossing)).collect();
    let expected = [
        (SlaKind::Latency, Crossing::Breach),
        (SlaKind::Errors, Crossing::Recovery),
        (SlaKind::Latency, Crossing::Recovery),
    ];
    assert_eq!(notices, expected);
    let status = scheduler.sla_status(Instant(now), queue).unwrap();
    assert_eq!((status.count, status.slow, status.errors), (1060, 40, 1));
    assert!(!status.latency_breached && !status.errors_breached);
}

#[test]
fn a_tick_sees_that_slow_requests_are_over_and_time_alone_does_not() {
    let (mut scheduler, queue) = with::<8>(0, 8);
    let serve = |scheduler: &mut crate::priority::PriorityScheduler<8>, at: u64, service_us, count| {
        for id in 0..count {
            let ticket = scheduler.start_request(Instant(at), queue, &request(id, Normal)).unwrap();
            let report = ServiceReport { service_us: Some(service_us), is_error: false };
            scheduler.complete_request(Instant(at), ticket, &report).unwrap();
        }
    };
    // The requests arrived at 0, so that the later ones have waited.
    serve(&mut scheduler, 0, 200_000, 20);
    assert!(scheduler.sla_status(Instant(0), queue).unwrap().latency_breached);
    scheduler.tick(Instant(200_000 * MS), &mut nothing);
    let status = scheduler.sla_status(Instant(200_000 * MS), queue).unwrap();
    assert!(status.latency_breached && status.count == 0, "missing data changes nothing");
    assert_eq!(scheduler.sla_notices().next(), 1);
}

#[test]
fn what_there_is_no_room_or_no_time_for_breaks_an_agreement_and_what_is_taken_out_does_not() {
    let (mut scheduler, queue) = with::<16>(1, 30);
    let now = Instant(0);
    let status = |scheduler: &crate::priority::PriorityScheduler<16>| {
        let status = scheduler.sla_status(Instant(0), queue).unwrap();
        (status.count, status.slow, status.errors)
    };
    let tickets: Vec<_> = (0..30)
        .map(|id| scheduler.enqueue_request(now, queue, &request(id, Normal), &mut nothing).unwrap())
        .collect();
    let full = request(30, Normal);
    assert!(scheduler.room(now, queue, &full, Access::Peek).is_err());
    assert_eq!(status(&scheduler), (0, 0, 0), "a look counts nothing");
    assert!(scheduler.room(now, queue, &full, Access::Charge).is_err());
    scheduler.enqueue_request(now, queue, &full, &mut nothing).unwrap_err();
    let late = QueuedRequest { sla_deadline: Some(Instant(1)), ..full };
    scheduler.enqueue_request(now, queue, &late, &mut nothing).unwrap_err();
    let urgent = request(31, RequestPriority::High);
    scheduler.enqueue_request(now, queue, &urgent, &mut |_| ()).unwrap();
    assert_eq!(status(&scheduler), (4, 4, 0), "full twice, infeasible, shed");
    scheduler.cancel(now, tickets[0]).unwrap();
    scheduler.preempt_request(now, tickets[1]).unwrap();
    scheduler.reject_request(now, tickets[2], RejectReason::Rejected).unwrap();
    scheduler.reject_request(now, tickets[3], RejectReason::Expired).unwrap();
    scheduler.drain(now, queue, &mut |_| ());
    (0..17).for_each(|id| {
        let _ = scheduler.enqueue_request(
            now,
            queue,
            &QueuedRequest { lane: Lane::Exempt, ..request(id, Normal) },
            &mut nothing,
        );
    });
    assert_eq!((status(&scheduler), scheduler.sla_notices().next()), ((4, 4, 0), 0));

    for _ in 0..30 {
        scheduler.enqueue_request(now, queue, &late, &mut nothing).unwrap_err();
    }
    let notices: Vec<_> = scheduler.sla_notices().since(0).copied().collect();
    assert_eq!(
        (notices.len(), notices[0].kind, notices[0].crossing),
        (1, SlaKind::Latency, Crossing::Breach)
    );
    assert_eq!(notices[0].measured_ppm, 1_000_000);
}

#[test]
fn only_so_many_classes_have_a_histogram_and_the_others_have_no_percentile() {
    let mut scheduler = super::support::scheduler::<4>();
    let queues: Vec<_> = (0..HISTOGRAMS_MAX / 5 + 1)
        .map(|number| scheduler.define_sla(&super::support::sla(&number.to_string(), 0, 8)).unwrap())
        .collect();
    for &queue in &queues {
        for class in RequestPriority::ALL {
            let ticket = scheduler.start_request(Instant(0), queue, &request(1, class)).unwrap();
            scheduler.cancel(Instant(0), ticket).unwrap();
        }
    }
    let stats =
        queues.iter().flat_map(|&queue| scheduler.get_queue_stats(Instant(0), queue).unwrap().classes);
    assert_eq!(stats.filter(|class| class.wait_p95.is_some()).count(), HISTOGRAMS_MAX);
    assert_eq!(scheduler.totals().histograms, HISTOGRAMS_MAX);
    scheduler.remove_sla(queues[0]).unwrap();
    assert_eq!(scheduler.totals().histograms, HISTOGRAMS_MAX - 5);
    let last = *queues.last().unwrap();
    scheduler.start_request(Instant(0), last, &request(1, RequestPriority::Batch)).unwrap();
    let batch = scheduler.get_queue_stats(Instant(0), last).unwrap().classes[4];
    assert_eq!(batch.wait_p95.map(|wait| wait.0), Some(0));
}
