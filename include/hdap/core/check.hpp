#pragma once

#include "hdap/core/text.hpp"

#include <concepts>
#include <initializer_list>
#include <source_location>
#include <string>
#include <string_view>

/// HDAP_CHECK(expression, values...) states what holds at this point whatever the input, and so is
/// no error that a user could be told of. Where it does not hold, the expression, the rank, the
/// place and the values (numbers and texts) go to stderr, and the process aborts.
///
/// Built with HDAP_AUDIT only (the presets release-audit, debug and asan): elsewhere nothing is
/// evaluated. A check costs no more than the work around it.
#ifdef HDAP_AUDIT
#define HDAP_CHECK(expression, ...)                                                                \
    ((expression) ? static_cast<void>(0)                                                           \
                  : ::hdap::core::fail_check(#expression, #__VA_ARGS__, {__VA_ARGS__}))
#else
#define HDAP_CHECK(expression, ...) static_cast<void>(sizeof((expression) ? 1 : 0))
#endif

namespace hdap::core {

/// A value that a failed check prints.
struct CheckedValue {
    std::string text;

    CheckedValue(std::integral auto value) : text(std::to_string(value)) {}
    CheckedValue(double value) : text(shortest(value)) {}
    CheckedValue(const std::convertible_to<std::string_view> auto& value)
        : text(std::string_view(value)) {}
};

/// What HDAP_CHECK calls when `expression` is false; `names` are those of the `values`.
[[noreturn]] void fail_check(std::string_view expression, std::string_view names,
                             std::initializer_list<CheckedValue> values,
                             std::source_location where = std::source_location::current());

} // namespace hdap::core
