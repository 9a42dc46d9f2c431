#include "filter_products.hpp"

namespace hdap::network {

const FilterProducts& portable_filter_products();
#if defined(__x86_64__)
const FilterProducts& avx2_filter_products();
const FilterProducts& avx512_filter_products();
#endif

FilterProductsSet all_filter_products() {
    FilterProductsSet set{{&portable_filter_products(), nullptr, nullptr}, 1};
#if defined(__x86_64__)
    const bool fused = __builtin_cpu_supports("fma");
    if (fused && __builtin_cpu_supports("avx2"))
        set.products[set.count++] = &avx2_filter_products();
    if (fused && __builtin_cpu_supports("avx512f"))
        set.products[set.count++] = &avx512_filter_products();
#endif
    return set;
}

const FilterProducts& filter_products() {
    const FilterProductsSet set = all_filter_products();
    return *set.products[set.count - 1];
}

} // namespace hdap::network
