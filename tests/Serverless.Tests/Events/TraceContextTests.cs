using Serverless.Events;
using Shouldly;

namespace Serverless.Tests.Events;

public sealed class TraceContextTests
{
    private const string Good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Fact]
    public void What_is_none_or_is_long_is_passed_over()
    {
        TraceContext.Read(Good).ShouldBe(Good);
        foreach (var none in (string?[])[null, "", "x", new string('0', 1 << 20), "cc" + Good[2..] + "-" + new string('a', 1 << 20)]) TraceContext.Read(none).ShouldBeNull();
    }
}
