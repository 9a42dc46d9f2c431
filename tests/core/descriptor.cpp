#include "hdap/core/descriptor.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <optional>

using hdap::core::Descriptor;

namespace {

Descriptor open_null() {
    return Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool is_open(int number) {
    return ::fcntl(number, F_GETFD) >= 0;
}

} // namespace

TEST_CASE("no file is open where none was opened") {
    CHECK_FALSE(Descriptor().is_open());
    CHECK_FALSE(Descriptor(::open("/no/such/file", O_RDONLY | O_CLOEXEC)).is_open());
    CHECK(Descriptor().close());
}

TEST_CASE("a file is closed with its owner, or earlier, and its closing may fail") {
    std::optional<Descriptor> file(open_null());
    const int number = file->number();
    CHECK(is_open(number));
    file.reset();
    CHECK_FALSE(is_open(number));
    Descriptor closed = open_null();
    ::close(closed.number());
    CHECK_FALSE(closed.close());
    CHECK_FALSE(closed.is_open());
}

TEST_CASE("a file that is moved is closed once, by its last owner") {
    Descriptor first = open_null();
    const int number = first.number();
    Descriptor second(std::move(first));
    CHECK(second.number() == number);
    {
        Descriptor third;
        third = std::move(second);
        CHECK(is_open(number));
    }
    CHECK_FALSE(is_open(number));
}
