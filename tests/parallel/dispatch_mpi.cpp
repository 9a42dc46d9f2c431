#include "hdap/parallel/dispatch.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

using namespace hdap;
using parallel::Communicator;
using parallel::DispatchOutcome;

namespace {

std::vector<double> square(std::size_t item, const std::stop_token& /*cancelled*/ = {}) {
    return {static_cast<double>(item), static_cast<double>(item * item)};
}

} // namespace

TEST_CASE("every item is evaluated once and its result reaches the root") {
    const auto world = Communicator::world();
    for (const int threads : {1, 3}) {
        for (const std::size_t items : {std::size_t{0}, std::size_t{1}, std::size_t{100}}) {
            std::atomic<int> evaluated{0};
            std::vector<int> seen(items, 0);
            const auto outcome = parallel::dispatch(
                world, {.items = items,
                        .threads = threads,
                        .evaluate =
                            [&](std::size_t item, const std::stop_token&) {
                                ++evaluated;
                                return square(item);
                            },
                        .on_result =
                            [&](std::size_t item, std::span<const double> result) {
                                ++seen.at(item);
                                REQUIRE(result.size() == 2);
                                CHECK(result[1] == static_cast<double>(item * item));
                            },
                        .should_stop = {},
                        .on_wait = {}});
            CHECK(outcome == DispatchOutcome::complete);
            if (world.is_root()) CHECK(seen == std::vector<int>(items, 1));
            const auto counts = world.all_gather(std::vector<double>{double(evaluated)});
            double sum = 0;
            for (const double count : counts)
                sum += count;
            CHECK(sum == static_cast<double>(items));
        }
    }
}

TEST_CASE("a rank whose items take long gets fewer of them") {
    const auto world = Communicator::world();
    if (world.size() < 2) return;
    int mine = 0;
    parallel::dispatch(world, {.items = 60,
                               .threads = 1,
                               .evaluate =
                                   [&](std::size_t item, const std::stop_token&) {
                                       ++mine;
                                       const auto cost = world.is_root() ? 20 : 1;
                                       std::this_thread::sleep_for(std::chrono::milliseconds(cost));
                                       return square(item);
                                   },
                               .on_result = {},
                               .should_stop = {},
                               .on_wait = {}});
    const auto counts = world.all_gather(std::vector<double>{double(mine)});
    CHECK(counts[0] < counts[1]);
}

TEST_CASE("an error on any rank ends the call on all ranks with the same message") {
    const auto world = Communicator::world();
    try {
        parallel::dispatch(world, {.items = 50,
                                   .threads = 2,
                                   .evaluate = [](std::size_t item,
                                                  const std::stop_token&) -> std::vector<double> {
                                       if (item == 7) throw core::DataError("item 7 is broken");
                                       return square(item);
                                   },
                                   .on_result = {},
                                   .should_stop = {},
                                   .on_wait = {}});
        FAIL("no error");
    } catch (const parallel::AgreedError& error) {
        CHECK(error.kind() == core::ErrorKind::data);
        CHECK(std::string(error.what()) == "item 7 is broken");
    }
}

TEST_CASE("an error of the root's callback does not leave the workers waiting") {
    const auto world = Communicator::world();
    CHECK_THROWS_WITH(parallel::dispatch(world, {.items = 20,
                                                 .threads = 1,
                                                 .evaluate = square,
                                                 .on_result =
                                                     [](std::size_t, std::span<const double>) {
                                                         throw core::InternalError("disk full");
                                                     },
                                                 .should_stop = {},
                                                 .on_wait = {}}),
                      "disk full");
}

TEST_CASE("a request to stop on one rank cuts the work, and finished items are kept") {
    const auto world = Communicator::world();
    const bool asks = world.rank() == world.size() - 1;
    std::atomic<int> begun{0};
    std::set<std::size_t> kept;
    const auto outcome = parallel::dispatch(
        world, {.items = 1'000'000,
                .threads = 1,
                .evaluate =
                    [&](std::size_t item, const std::stop_token&) {
                        ++begun;
                        return square(item);
                    },
                .on_result = [&](std::size_t item, std::span<const double>) { kept.insert(item); },
                .should_stop = [&] { return asks && begun > 3; },
                .on_wait = {}});
    CHECK(outcome == DispatchOutcome::stopped);
    const auto counts = world.all_gather(std::vector<double>{double(begun)});
    double sum = 0;
    for (const double count : counts)
        sum += count;
    if (world.is_root()) CHECK(static_cast<double>(kept.size()) == sum);
    CHECK(sum < 1'000'000);
}

TEST_CASE("a rank that cancels ends the evaluations of all ranks, and their items are not done") {
    const auto world = Communicator::world();
    std::atomic<int> begun{0};
    std::set<std::size_t> kept;
    const bool asks = world.rank() == world.size() - 1;
    const auto outcome = parallel::dispatch(
        world, {.items = 100,
                .threads = 2,
                .evaluate = [&](std::size_t item,
                                const std::stop_token& cancelled) -> std::vector<double> {
                    if (item == 0) return {0.0};
                    ++begun;
                    while (!cancelled.stop_requested()) // only a cancellation ends this
                        std::this_thread::yield();
                    return {};
                },
                .on_result = [&](std::size_t item, std::span<const double>) { kept.insert(item); },
                .should_stop = {},
                .should_cancel = [&] { return asks && begun > 0; },
                .on_wait = {}});
    CHECK(outcome == DispatchOutcome::stopped);
    if (world.is_root()) CHECK(kept == std::set<std::size_t>{0});
}

TEST_CASE("a notice of any rank reaches the root, once") {
    const auto world = Communicator::world();
    for (int from = 0; from < world.size(); ++from) {
        bool pending = world.rank() == from;
        int notices = 0;
        const auto outcome =
            parallel::dispatch(world, {.items = 100,
                                       .threads = 1,
                                       .evaluate = square,
                                       .on_result = {},
                                       .should_stop = {},
                                       .on_wait = {},
                                       .has_notice = [&] { return std::exchange(pending, false); },
                                       .on_notice = [&] { ++notices; }});
        CHECK(outcome == DispatchOutcome::complete);
        CHECK_FALSE(pending);
        CHECK(notices == (world.is_root() ? 1 : 0));
    }
}
