#include "hdap/core/text.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>
#include <vector>

using namespace hdap::core;

TEST_CASE("edit distance counts insertions, deletions, substitutions and swaps") {
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("form", "from") == 1);
}

TEST_CASE("the nearest word is offered only when it is near") {
    const std::vector<std::string> known{"population", "generations", "seed"};
    CHECK(nearest("populaton", known) == "population");
    CHECK(nearest("sede", known) == "seed");
    CHECK(nearest("temperature", known).empty());
    CHECK(nearest("of", std::vector<std::string>{"", "seed"}).empty());
    CHECK(did_you_mean("sede", known) == " (did you mean 'seed'?)");
}

TEST_CASE("control characters from outside are not printed, others are") {
    CHECK(printable("a\nb\x1b[31mc\x7f\t") == "a?b?[31mc??");
    CHECK(printable("a\xc2\x9b"
                    "b\xc2\x80\xc2\x9f") == "a?b??"); // C1: U+009B begins a control sequence
    CHECK(printable("Größe µs\u00a0…") == "Größe µs\u00a0…");
    CHECK(printable("\xc2") == "\xc2"); // cut in a character
    CHECK(printable("\xc2\n") == "\xc2?");
    CHECK(printable("").empty());
}

TEST_CASE("a character of UTF-8 is told from bytes that are none") {
    CHECK(character_bytes("") == 0);
    CHECK(character_bytes("ab") == 1);
    CHECK(character_bytes(std::string_view("\0", 1)) == 1);
    CHECK(character_bytes("ß.") == 2);
    CHECK(character_bytes("…") == 3);
    CHECK(character_bytes("\xED\x9F\xBF") == 3);
    CHECK(character_bytes("\xF4\x8F\xBF\xBF") == 4);
    for (const char* none : {"\x80", "\xE4t", "\xC3", "\xE2\x82", "\xE2\x82.", "\xFF",
                             "\xC1\xBF", // longer than it needs to be
                             "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",
                             "\xED\xA0\x80",                          // half of a pair of UTF-16
                             "\xF4\x90\x80\x80", "\xF5\x80\x80\x80"}) // beyond the last one
        CHECK(character_bytes(none) == 0);
}

TEST_CASE("columns are characters, not bytes") {
    CHECK(display_width("") == 0);
    CHECK(display_width("abc") == 3);
    CHECK(display_width("Größe τ …") == 9);
    CHECK(padded_right("µs", 4) == "µs  ");
    CHECK(padded_left("µs", 4) == "  µs");
    CHECK(padded_right("longer", 3) == "longer");
    CHECK(padded_left("longer", 3) == "longer");
}

TEST_CASE("a text is shortened between characters") {
    CHECK(shortened("abcdef", 6) == "abcdef");
    CHECK(shortened("abcdef", 4) == "abc…");
    CHECK(shortened("äöüß", 4) == "äöüß");
    CHECK(shortened("äöüß", 3) == "äö…");
    CHECK(shortened("abc", 1) == "…");
    CHECK(shortened(std::string(1000, '\x80'), 5).size() < 30); // bytes that are no characters
    for (std::size_t width = 1; width < 12; ++width)
        CHECK(display_width(shortened("a µ… Größe", width)) == std::min<std::size_t>(width, 10));
}

TEST_CASE("numbers and durations print for people") {
    CHECK(significant(12.3456) == "12.35");
    CHECK(significant(0.0123456) == "0.01235");
    CHECK(significant(1234567.0) == "1234567");
    CHECK(significant(0.0) == "0.000");
    CHECK(significant(std::numeric_limits<double>::quiet_NaN()) == "–");
    CHECK(shortest(0.1) == "0.1");
    CHECK(shortest(1.0) == "1");
    CHECK(grouped(0) == "0");
    CHECK(grouped(999) == "999");
    CHECK(grouped(1000) == "1,000");
    CHECK(grouped(std::size_t{1234567}) == "1,234,567");
    CHECK(grouped(-999) == "-999");
    CHECK(grouped(-123456) == "-123,456");
    CHECK(grouped(std::numeric_limits<std::int64_t>::min()) == "-9,223,372,036,854,775,808");
    CHECK(duration_text(0.44) == "0.4 s");
    CHECK(duration_text(59.4) == "59 s");
    CHECK(duration_text(185) == "3 min 05 s");
    CHECK(duration_text(3725) == "1 h 02 min");
    CHECK(duration_text(86'399) == "23 h 59 min");
    CHECK(duration_text(86'400) == "1 d 00 h");
    CHECK(duration_text(8759 * 3600.0) == "364 d 23 h");
}

TEST_CASE("one thing is counted in the singular, none and many in the plural") {
    CHECK(counted(1, "device") == "1 device");
    CHECK(counted(0, "device") == "0 devices");
    CHECK(counted(std::size_t{12345}, "device") == "12,345 devices");
    CHECK(counted(1, "class", "classes") == "1 class");
    CHECK(counted(2, "class", "classes") == "2 classes");
    CHECK(counted(-1, "genome") == "-1 genomes");
}
