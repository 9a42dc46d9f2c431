#include "fleet/telemetry/line_reader.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <streambuf>

namespace hdap::fleet {

bool LineReader::next(std::string& line) {
    using Traits = std::streambuf::traits_type;
    line.clear();
    has_end_ = false;
    Traits::int_type c = bytes_.sbumpc();
    if (Traits::eq_int_type(c, Traits::eof())) return false;
    ++line_;
    for (; !Traits::eq_int_type(c, Traits::eof()); c = bytes_.sbumpc()) {
        const char byte = Traits::to_char_type(c);
        has_end_ = byte == '\n' || byte == '\r';
        if (byte == '\r' && Traits::eq_int_type(bytes_.sgetc(), Traits::to_int_type('\n')))
            bytes_.sbumpc();
        if (has_end_) break;
        if (line.size() == longest_)
            throw core::DataError(fmt::format("{}:{}: the line is longer than {} bytes; is this "
                                              "the right file?",
                                              name_, line_, core::grouped(longest_)));
        line += byte;
    }
    return true;
}

std::string_view without_last_word(std::string_view line) {
    const std::size_t blank = line.find_last_of(" \t");
    return line.substr(0, blank == std::string_view::npos ? 0 : blank);
}

} // namespace hdap::fleet
