#include "print_document.hpp"

#include <cstdio>

namespace hdap::cli {

void print_document(const nlohmann::ordered_json& document) {
    constexpr auto replace = nlohmann::ordered_json::error_handler_t::replace;
    std::printf("%s\n", document.dump(2, ' ', false, replace).c_str());
}

} // namespace hdap::cli
