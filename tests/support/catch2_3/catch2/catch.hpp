#pragma once

// Catch2 2's one header, made from Catch2 3's, by the names that the tests use. Only those headers
// of Catch2 3 are here that they need; its own Contains, which asks for an element, is not.

#include <catch2/catch_approx.hpp>
#include <catch2/catch_session.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>

namespace Catch {
namespace Matchers {

/// Matches a text that `text` is a part of.
inline StringContainsMatcher Contains(const std::string& text) {
    return ContainsSubstring(text);
}

} // namespace Matchers

using Matchers::Contains;
using Matchers::EndsWith;
using Matchers::StartsWith;

} // namespace Catch

using Catch::Approx;
