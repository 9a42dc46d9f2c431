#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

using namespace hdap::core;

TEST_CASE("every kind of error has the exit code of the contract") {
    CHECK(UsageError("x").exit_code() == ExitCode::usage);
    CHECK(ConfigError("x").exit_code() == ExitCode::usage);
    CHECK(DataError("x").exit_code() == ExitCode::bad_data);
    CHECK(CorruptFileError("x").exit_code() == ExitCode::bad_data);
    CHECK(InfeasibleError("x").exit_code() == ExitCode::infeasible);
    CHECK(InternalError("x").exit_code() == ExitCode::internal_error);
}

TEST_CASE("an error thrown again by its kind keeps its class and message") {
    CHECK_THROWS_AS(throw_error(ErrorKind::config, "m"), ConfigError);
    CHECK_THROWS_AS(throw_error(ErrorKind::corrupt_file, "m"), CorruptFileError);
    CHECK_THROWS_WITH(throw_error(ErrorKind::infeasible, "m"), "m");
}
