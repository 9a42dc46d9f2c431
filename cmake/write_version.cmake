execute_process(COMMAND git describe --always --dirty --abbrev=12 --exclude=*
                WORKING_DIRECTORY ${SOURCE_DIR}
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
                ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT [[
#pragma once

#include <string_view>

namespace hdap::core {

inline constexpr std::string_view version = "@VERSION@";
inline constexpr std::string_view git_commit = "@commit@";
inline constexpr std::string_view libraries = "@LIBRARIES@";

} // namespace hdap::core
]] @ONLY)
