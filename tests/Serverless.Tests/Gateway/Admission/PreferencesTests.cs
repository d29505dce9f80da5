using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Serverless.Gateway.Admission;
using Shouldly;

namespace Serverless.Tests.Gateway.Admission;

public sealed class PreferencesTests
{
    [Theory]
    [InlineData("respond-async", true, 0, null)]
    [InlineData("respond-async, wait=10", true, 10, null)]
    [InlineData("Wait=\"10\" , RESPOND-ASYNC;x=1", true, 10, null)]
    [InlineData("wait=10, wait=20", false, 10, null)]
    [InlineData("resume=30", false, 0, 30)]
    [InlineData("resume=3600", false, 0, 60)]
    [InlineData("resume=0", false, 0, 0)]
    [InlineData("resume=-1, wait=soon, return=minimal,,=;", false, 0, null)]
    [InlineData("", false, 0, null)]
    public void Preferences_are_read_as_the_rfc_writes_them(string header, bool respondAsync, int wait, int? resume)
    {
        var read = Preferences.Read(new HeaderDictionary { ["Prefer"] = header });

        read.RespondAsync.ShouldBe(respondAsync);
        read.Wait.ShouldBe(TimeSpan.FromSeconds(wait));
        read.Resume.ShouldBe(resume is { } seconds ? TimeSpan.FromSeconds(seconds) : null);
    }

    [Fact]
    public void Several_headers_are_one_list() =>
        Preferences.Read(new HeaderDictionary { ["Prefer"] = new StringValues(["respond-async", "wait=3"]) }).RespondAsyncApplied.ShouldBe("respond-async, wait=3");
}
