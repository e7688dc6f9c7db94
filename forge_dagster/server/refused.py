"""What a server says when it does not answer: a status and OpenAI's JSON of an error, with value, rule and mend."""

from starlette.responses import JSONResponse

from forge_dagster.errors import ForgeError

TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 405: "invalid_request_error",
    408: "timeout_error", 409: "invalid_request_error", 413: "invalid_request_error", 415: "invalid_request_error",
    500: "server_error", 503: "overloaded_error",
}  # fmt: skip


class Refused(ForgeError):
    """A request that is not answered; `status` is HTTP's, `code` a word for programs, `after` seconds to wait."""

    def __init__(
        self,
        status: int,
        code: str,
        problem: str,
        *,
        rule: str = "",
        mend: str = "",
        param: str | None = None,
        after: int | None = None,
    ) -> None:
        super().__init__(problem, rule=rule, mend=mend)
        self.status, self.code, self.param, self.after = status, code, param, after

    def response(self) -> JSONResponse:
        headers = {} if self.after is None else {"Retry-After": str(self.after)}
        headers |= {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        headers |= {"Connection": "close"} if self.status == 408 else {}
        return JSONResponse(self.body(), status_code=self.status, headers=headers)

    def body(self) -> dict[str, object]:
        said = {"message": str(self), "type": TYPES[self.status], "param": self.param, "code": self.code}
        return {"error": said}
