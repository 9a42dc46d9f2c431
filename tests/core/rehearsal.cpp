#include "hdap/core/rehearsal.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

using namespace hdap;
using core::rehearse;

namespace {

#ifdef __SANITIZE_ADDRESS__ // which throws nothing
constexpr const char* without_memory = "ends the process";
#else
constexpr const char* without_memory = "needs more than 64 MiB of memory";
#endif

} // namespace

TEST_CASE("a rehearsal that crashes, does not end or takes all memory is an error of the data") {
    const auto error_of = [](const core::RehearsalLimits& limits, const auto& work) -> std::string {
        try {
            rehearse("a.h5", limits, work);
        } catch (const core::DataError& error) {
            return error.what();
        }
        return "";
    };
    CHECK_THAT(error_of({}, [] { std::raise(SIGSEGV); }),
               Catch::StartsWith("a.h5: is damaged") && Catch::Contains("crashes (Segmentation"));
    CHECK_THAT(error_of({}, [] { std::terminate(); }), Catch::Contains("crashes (Aborted"));
    CHECK_THAT(error_of({}, [] { std::_Exit(1); }), Catch::Contains("ends the process with 1"));
    volatile bool goes_on = true;
    CHECK_THAT(error_of({.time = std::chrono::seconds(1)},
                        [&] {
                            while (goes_on) {
                            }
                        }),
               Catch::Contains("does not end within 1 s"));
    constexpr std::size_t too_much = std::size_t{1} << 50U; // also of what sanitizers allow
    CHECK_THAT(error_of({.memory_bytes = std::size_t{64} << 20U},
                        [&] {
                            if (std::vector<char>(too_much).empty()) throw std::logic_error("");
                        }),
               Catch::Contains(without_memory));
}

TEST_CASE("a rehearsal's error comes with its kind and its whole message") {
    const std::string message = "line 3 " + std::string(10'000, 'x');
    CHECK_THROWS_AS(rehearse("a", {}, [&] { throw core::UsageError(message); }), core::UsageError);
    CHECK_THROWS_WITH(rehearse("a", {}, [&] { throw core::UsageError(message); }), message);
    CHECK_THROWS_WITH(rehearse("a", {}, [] { throw core::DataError(""); }), "");
}

TEST_CASE("a rehearsal changes nothing here, prints nothing, and leaves other errors for the work "
          "itself") {
    int changed = 0;
    rehearse("a", {}, [&] {
        changed = 1;
        std::fputs("not to be seen\n", stderr);
    });
    CHECK(changed == 0);
    CHECK_NOTHROW(rehearse("a", {}, [] { throw std::logic_error("not of hdap"); }));
}
