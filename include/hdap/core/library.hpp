#pragma once

#include <string_view>

namespace hdap::core {

/// The address of `symbol` in libhdap_`name`.so, a library of hdap's own that is loaded when it is
/// first asked for, as what it brings takes longer to load than most commands run. It lies beside
/// the one of this function, and stays loaded. `remedy` says what to do where it is missing.
/// Throws InternalError when the library cannot be loaded, or has no such symbol.
void* library_symbol(std::string_view name, const char* symbol, std::string_view remedy);

} // namespace hdap::core
