#pragma once

#include "hdap/parallel/communicator.hpp"

#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

namespace hdap::parallel {

/// Independent items of unequal cost, to be evaluated by all threads of all ranks.
struct DispatchTask {
    std::size_t items = 0;
    /// Threads of this rank that evaluate; at least 1.
    int threads = 1;
    /// Evaluates one item. Called from several threads at once, on any rank; its result must
    /// depend on the item alone. When `cancelled` is requested it may give up: it then returns an
    /// empty vector, and the item counts as not done.
    std::function<std::vector<double>(std::size_t item, const std::stop_token& cancelled)> evaluate;
    /// Called on the root, in its main thread, as results come in: in no particular order.
    std::function<void(std::size_t item, std::span<const double> result)> on_result;
    /// Asked on every rank, often. Once any rank says true, no new item is begun, and those that
    /// are being evaluated are finished and kept.
    std::function<bool()> should_stop;
    /// Asked on every rank, often. Once any rank says true, the evaluations under way on all ranks
    /// are cancelled, too.
    std::function<bool()> should_cancel = {};
    /// Called on the root between results, often: for progress and checkpoints.
    std::function<void()> on_wait;
    /// Asked on every rank, often: whether something came up there that the root must know.
    std::function<bool()> has_notice = {};
    /// Called on the root for every time that `has_notice` said true on a rank.
    std::function<void()> on_notice = {};
};

enum class DispatchOutcome { complete, stopped };

/// Hands items out dynamically: a thread gets its next item when it has finished one, so ranks
/// that are slower, or got costlier items, do fewer. Items go out in order 0, 1, 2, …: put costly
/// ones first. The main thread of every rank only exchanges messages, the root's too.
///
/// When `evaluate` throws on any rank, no new item is begun and every rank throws an AgreedError
/// with the message of the lowest item that failed. Collective.
DispatchOutcome dispatch(const Communicator& communicator, const DispatchTask& task);

} // namespace hdap::parallel
