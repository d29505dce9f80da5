using System.Text.RegularExpressions;
using CsCheck;
using Serverless.Catalog;
using Shouldly;

namespace Serverless.Tests.Catalog;

public sealed class PoolNameTests
{
    [Fact]
    public void A_pool_is_named_after_its_model_and_flavor() => PoolName.Of(new ModelName("qwen"), "a10").Value.ShouldBe("qwen-a10");

    [Fact]
    public void Any_model_and_flavor_make_a_DNS_label()
    {
        Gen.Select(Gen.String[Gen.Char["abzAZ059.:/_-é"], 1, 128], Gen.String[Gen.Char["ab09-"], 1, 63])
            .Sample((model, flavor) => Regex.IsMatch(PoolName.Of(new ModelName(model), flavor).Value, "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"));
    }

    [Fact]
    public void Names_that_become_the_same_label_are_kept_apart() =>
        PoolName.Of(new ModelName("qwen2.5"), "a10").ShouldNotBe(PoolName.Of(new ModelName("qwen2:5"), "a10"));
}
